//! The assignments of a Python module, evaluated without executing anything.
//!
//! Configuration modules are code, but what they say is nearly always constants, texts put together
//! and dictionaries. Those are evaluated here. Whatever else stands in a module makes the names that
//! it touches unknown, and an unknown name is a mistake only where somebody asks for it. Nothing is
//! ever guessed: where a statement that is not followed could have changed a value, the value is
//! unknown.

mod assign;
mod call;
mod expression;
mod format;
mod import;
mod literal;
mod number;
mod operator;
mod scope;
mod statement;
mod syntax;
mod touched;

use std::ops::Range;

use crate::data::{Data, Spanned};
use crate::toml_reader::{Problem, locate};

use tree_sitter::Node;

use statement::Evaluator;

/// A value that cannot be told without executing the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The place of what is not evaluated, in bytes of the module.
    pub span: Range<usize>,
    /// What it is, and what would help.
    pub message: String,
}

impl Unknown {
    /// Something that Python would refuse as well.
    fn wrong(node: Node<'_>, message: String) -> Self {
        Self {
            span: node.byte_range(),
            message,
        }
    }

    /// Something that is not evaluated.
    fn of(node: Node<'_>, what: &str) -> Self {
        let message =
            format!("{what} is not evaluated, since nothing is executed; write the value itself");
        Self::wrong(node, message)
    }
}

/// A name of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    /// The name, where it was last assigned.
    pub name: Spanned<String>,
    /// Its value at the end of the module.
    pub value: Result<Spanned<Data>, Unknown>,
    /// True if the module itself uses the name after it was assigned.
    pub used: bool,
    /// True if it comes from another module.
    pub imported: bool,
}

/// What a module assigns.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    bindings: Vec<Binding>,
    /// Why a name that is not here may exist all the same.
    open: Option<Unknown>,
    /// What is valid but hardly meant: a key that a dictionary has twice.
    pub remarks: Vec<Problem>,
}

impl Module {
    /// The value of a name; absent if the module does not assign it.
    pub fn get(&self, name: &str) -> Option<Result<&Spanned<Data>, &Unknown>> {
        match self.binding(name) {
            Some(binding) => Some(binding.value.as_ref()),
            None => self.open.as_ref().map(Err),
        }
    }

    /// A name with all that is known about it.
    pub fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings
            .iter()
            .find(|binding| binding.name.value == name)
    }

    /// The names in the order in which they were first assigned.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}

/// Most modules that one module may import, all that these import counted.
const MOST_IMPORTS: usize = 64;

/// Reads a module. `import` gives the text of another module by its name as the import says it, with
/// the dots before it; without a text, what is imported is unknown.
///
/// # Errors
///
/// Mistakes of syntax, in the order of the text.
pub fn read(
    source: &str,
    import: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<Module, Vec<Problem>> {
    let mut left = MOST_IMPORTS;
    let mut limited = |name: &str| {
        left = usize::checked_sub(left, 1)?;
        import(name)
    };
    read_nested(source, &mut limited, 0)
}

fn read_nested(
    source: &str,
    import: &mut dyn FnMut(&str) -> Option<String>,
    depth: usize,
) -> Result<Module, Vec<Problem>> {
    let place = |(span, message)| locate(source, span, message);
    let tree =
        syntax::parse(source).map_err(|found| found.into_iter().map(place).collect::<Vec<_>>())?;
    let mut evaluator = Evaluator::new(source, import, depth);
    evaluator.module(tree.root_node());
    let (bindings, open, remarks) = evaluator.finish();
    Ok(Module {
        bindings,
        open,
        remarks: remarks.into_iter().map(place).collect(),
    })
}

/// The value of a text that is one expression of constants.
///
/// # Errors
///
/// What is wrong with it or not known, and where.
pub fn evaluate(source: &str) -> Result<Spanned<Data>, Problem> {
    if source.trim().is_empty() {
        return Err(locate(
            source,
            0..0,
            "this is empty; expected a value".to_owned(),
        ));
    }
    // In brackets, so that blanks before it and ends of lines in it mean nothing.
    let wrapped = format!("_=({source}\n)");
    let module = read(&wrapped, &mut |_| None);
    let shift = |span: Range<usize>| span.start.saturating_sub(3)..span.end.saturating_sub(3);
    let wrong = |span, message: &str| Err(locate(source, span, message.to_owned()));
    let whole = 0..source.len();
    match module {
        Err(problems) => {
            let first = problems.first().map(|problem| &*problem.message);
            wrong(whole, first.unwrap_or("this is no value"))
        }
        Ok(module) => match module.get("_") {
            // Brackets in the text may have ended those around it.
            Some(Ok(value)) if value.span.len() == wrapped.len() - 2 => {
                Ok(Spanned::new(value.value.clone(), whole))
            }
            Some(Err(unknown)) => wrong(shift(unknown.span.clone()), &unknown.message),
            _ => wrong(whole, "this is more than one value"),
        },
    }
}
