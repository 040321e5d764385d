//! The library of cases: the built-in catalogue and the directories of a user's own cases.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flagperf_model::{CaseName, CaseSpec, Entry, NameError};
use flagperf_text::Problem;

use crate::case_file::read_case;

macro_rules! built_in {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../cases/", $name, "/case.toml")),
        )
    };
}

/// The built-in cases, in the order they run when none is named: arithmetic from the widest format
/// to the narrowest, then memory, then interconnects, last those between nodes.
const BUILT_IN: [(&str, &str); 11] = [
    built_in!("computation-FP64"),
    built_in!("computation-FP32"),
    built_in!("computation-BF16"),
    built_in!("computation-FP16"),
    built_in!("computation-INT8"),
    built_in!("main_memory-bandwidth"),
    built_in!("main_memory-capacity"),
    built_in!("interconnect-P2P_intraserver"),
    built_in!("interconnect-MPI_intraserver"),
    built_in!("interconnect-P2P_interserver"),
    built_in!("interconnect-MPI_interserver"),
];

/// A `case.toml` longer than this is not one, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// One mistake in a library of cases.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file or directory cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory's name cannot name a case.
    #[error("`{}` cannot be a case", path.display())]
    Name {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: NameError,
    },
    /// The path of a case is not UTF-8 text.
    #[error("the case `{}` lies at a path that is not UTF-8 text; rename its directory or one above it", path.display())]
    PathNotText {
        /// The directory, links resolved.
        path: PathBuf,
    },
    /// Something in a `case.toml` is not as it should be.
    #[error("{}:{line}:{column}: {message}\n{excerpt}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// The line with a mark under the place.
        excerpt: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// Two cases have one name.
    #[error("the case `{name}` of `{}` has the name of {first}; rename its directory", path.display())]
    NameTaken {
        /// The name.
        name: CaseName,
        /// Who has it: `the built-in case`, or the case of a directory.
        first: String,
        /// The directory of the second.
        path: PathBuf,
    },
    /// The program of a case is missing or cannot be started.
    #[error("the case `{name}` starts `{program}`, {problem}")]
    Program {
        /// The case.
        name: CaseName,
        /// The program, as the case names it.
        program: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A directory holds no case.
    #[error("`{}` holds no case; {hint}", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
        /// What was expected.
        hint: String,
    },
}

/// Every mistake in a library of cases.
#[derive(Debug, thiserror::Error)]
pub struct LibraryErrors(
    /// At least one.
    pub Vec<LibraryError>,
);

impl fmt::Display for LibraryErrors {
    /// One mistake after the other, each with its cause: a list has no single source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(inner) = cause {
                write!(f, ": {inner}")?;
                cause = inner.source();
            }
        }
        Ok(())
    }
}

/// The cases that there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Library {
    cases: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq)]
struct Member {
    spec: CaseSpec,
    /// Where it came from; absent for a built-in case.
    directory: Option<PathBuf>,
}

impl Library {
    /// The built-in cases, which are part of the program.
    ///
    /// # Errors
    ///
    /// None in a program whose tests pass: they read every built-in definition.
    pub fn builtin() -> Result<Self, LibraryErrors> {
        let mut errors = Vec::new();
        let mut cases = Vec::new();
        for (name, source) in BUILT_IN {
            let path = PathBuf::from(format!("cases/{name}/case.toml"));
            match read_named(name, &path, source) {
                Ok(spec) => cases.push(Member {
                    spec,
                    directory: None,
                }),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() {
            Ok(Self { cases })
        } else {
            Err(LibraryErrors(errors))
        }
    }

    /// Adds the cases of a directory: each directory in it that has a file `case.toml` is a case of
    /// its name. Other files and directories are left alone.
    ///
    /// # Errors
    ///
    /// All mistakes of all its files.
    pub fn with_directory(mut self, path: &Path) -> Result<Self, LibraryErrors> {
        let mut errors = Vec::new();
        match case_directories(path) {
            Ok(directories) => {
                for directory in directories {
                    match self.read_directory(&directory) {
                        Ok(member) => self.cases.push(member),
                        Err(found) => errors.extend(found),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(LibraryErrors(errors))
        }
    }

    /// All cases, in order: the built-in ones, then each directory's by name.
    pub fn cases(&self) -> impl Iterator<Item = &CaseSpec> {
        self.cases.iter().map(|member| &member.spec)
    }

    /// The case of exactly that name.
    pub fn get(&self, name: &str) -> Option<&CaseSpec> {
        self.member(name).map(|member| &member.spec)
    }

    /// Where a case of one's own lies; absent for built-in and unknown cases.
    pub fn directory(&self, name: &str) -> Option<&Path> {
        self.member(name)?.directory.as_deref()
    }

    /// True if the name is that of a built-in case.
    pub fn is_builtin(&self, name: &str) -> bool {
        self.member(name)
            .is_some_and(|member| member.directory.is_none())
    }

    fn member(&self, name: &str) -> Option<&Member> {
        self.cases
            .iter()
            .find(|member| member.spec.name.as_str() == name)
    }

    fn read_directory(&self, directory: &Path) -> Result<Member, Vec<LibraryError>> {
        let file = directory.join("case.toml");
        let unreadable = |path: &Path, source| {
            vec![LibraryError::Unreadable {
                path: path.to_owned(),
                source,
            }]
        };
        // The plan names the directory to an agent, whose own directory may be another. A plan is
        // text: a path that is none would arrive as another path.
        let absolute = fs::canonicalize(directory).map_err(|error| unreadable(directory, error))?;
        if absolute.to_str().is_none() {
            return Err(vec![LibraryError::PathNotText { path: absolute }]);
        }
        let source = read_bounded(&file).map_err(|error| unreadable(&file, error))?;
        let name = directory
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let spec = read_named(&name, &file, &source)?;
        if let Some(first) = self.member(&name) {
            let first = match &first.directory {
                None => "the built-in case".to_owned(),
                Some(path) => format!("the case of `{}`", path.display()),
            };
            return Err(vec![LibraryError::NameTaken {
                name: spec.name,
                first,
                path: directory.to_owned(),
            }]);
        }
        check_program(&spec, &absolute).map_err(|error| vec![error])?;
        Ok(Member {
            spec,
            directory: Some(absolute),
        })
    }
}

/// Reads the text of a `case.toml`. `path` is only named in errors.
///
/// # Errors
///
/// All mistakes of the text, each with its place.
pub fn parse_case(name: &str, path: &Path, source: &str) -> Result<CaseSpec, LibraryErrors> {
    read_named(name, path, source).map_err(LibraryErrors)
}

fn read_named(name: &str, path: &Path, source: &str) -> Result<CaseSpec, Vec<LibraryError>> {
    let name = CaseName::new(name).map_err(|source| {
        vec![LibraryError::Name {
            path: path.parent().unwrap_or(path).to_owned(),
            source,
        }]
    })?;
    read_case(name, source).map_err(|problems| {
        problems
            .into_iter()
            .map(|problem| content_error(path, problem))
            .collect()
    })
}

fn content_error(path: &Path, problem: Problem) -> LibraryError {
    LibraryError::Content {
        path: path.to_owned(),
        line: problem.line,
        column: problem.column,
        excerpt: problem.excerpt,
        message: problem.message,
    }
}

/// The directories below `path` that are cases, by name.
fn case_directories(path: &Path) -> Result<Vec<PathBuf>, LibraryError> {
    let unreadable = |source| LibraryError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let directory = entry.map_err(unreadable)?.path();
        if directory.join("case.toml").is_file() {
            found.push(directory);
        }
    }
    if found.is_empty() {
        let hint = if path.join("case.toml").is_file() {
            "it is a case itself: name the directory above it"
        } else {
            "expected `<case name>/case.toml` below it"
        };
        return Err(LibraryError::Empty {
            path: path.to_owned(),
            hint: hint.to_owned(),
        });
    }
    found.sort();
    Ok(found)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::other(format!("it is not UTF-8 text: byte {at} is not valid"))
    })
}

/// A program named by a relative path is part of the case and can be checked before a run. One
/// named without a slash is looked up on each node, and one whose path has a parameter in it is
/// known only then.
fn check_program(spec: &CaseSpec, directory: &Path) -> Result<(), LibraryError> {
    let Entry::Argv(argv) = &spec.entry else {
        return Ok(());
    };
    let Some(program) = argv.first() else {
        return Ok(());
    };
    if !program.contains('/') || program.starts_with('/') || program.contains("{param.") {
        return Ok(());
    }
    let problem = match fs::metadata(directory.join(program)) {
        Err(error) => format!("which cannot be read: {error}"),
        Ok(meta) if !meta.is_file() => "which is not a file".to_owned(),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            format!("which is not executable; `chmod +x {program}` makes it so")
        }
        Ok(_) => return Ok(()),
    };
    Err(LibraryError::Program {
        name: spec.name.clone(),
        program: program.clone(),
        problem,
    })
}
