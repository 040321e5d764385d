//! Numbers of Python: how they are written, and how they are reckoned with.

use crate::data::Data;

const LARGE: &str = "the number is larger than 64 bits";

/// A whole number as it is written.
pub(super) fn integer(text: &str) -> Result<Data, String> {
    let digits = text.replace('_', "").to_lowercase();
    let (digits, radix) = match digits.get(..2) {
        Some("0x") => (&digits[2..], 16),
        Some("0o") => (&digits[2..], 8),
        Some("0b") => (&digits[2..], 2),
        _ => (&*digits, 10),
    };
    if digits.ends_with(['j', 'l']) && radix == 10 {
        return Err("expected a whole number without a letter behind it".to_owned());
    }
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') && digits.contains(|c| c != '0') {
        return Err("a whole number cannot begin with 0; expected it without, or 0o before the digits of an octal one".to_owned());
    }
    i64::from_str_radix(digits, radix)
        .map(Data::Int)
        .map_err(|_| LARGE.to_owned())
}

/// A number with a point or an exponent as it is written.
pub(super) fn float(text: &str) -> Result<Data, String> {
    text.replace('_', "")
        .parse()
        .map(Data::Float)
        .map_err(|_| "expected a number without a letter behind it".to_owned())
}

/// A number for reckoning: true counts as one.
#[derive(Debug, Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

fn number(data: &Data) -> Option<Number> {
    match data {
        Data::Bool(flag) => Some(Number::Int(i64::from(*flag))),
        Data::Int(int) => Some(Number::Int(*int)),
        Data::Float(float) => Some(Number::Float(*float)),
        _ => None,
    }
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

/// An operator between two numbers; absent if one of them is none.
pub(super) fn binary(operator: &str, left: &Data, right: &Data) -> Option<Result<Data, String>> {
    let (left, right) = (number(left)?, number(right)?);
    Some(match (left, right) {
        (Number::Int(left), Number::Int(right)) => whole(operator, left, right),
        _ => fraction(operator, left.float(), right.float()),
    })
}

fn whole(operator: &str, left: i64, right: i64) -> Result<Data, String> {
    let by_zero = || "a division by zero".to_owned();
    let int = |number: Option<i64>| number.map(Data::Int).ok_or_else(|| LARGE.to_owned());
    match operator {
        "+" => int(left.checked_add(right)),
        "-" => int(left.checked_sub(right)),
        "*" => int(left.checked_mul(right)),
        "/" | "//" | "%" if right == 0 => Err(by_zero()),
        "/" => Ok(Data::Float(left as f64 / right as f64)),
        "//" => int(left.checked_div(right).map(|quotient| {
            let inexact = quotient.wrapping_mul(right) != left;
            quotient - i64::from(inexact && (left < 0) != (right < 0))
        })),
        "%" => int(left.checked_rem(right).map(|rest| {
            if rest != 0 && (rest < 0) != (right < 0) {
                rest + right
            } else {
                rest
            }
        })),
        "**" if right < 0 => fraction(operator, left as f64, right as f64),
        "**" => int(u32::try_from(right)
            .ok()
            .and_then(|exponent| left.checked_pow(exponent))),
        "<<" => {
            let factor = u32::try_from(right).ok().filter(|bits| *bits < 63);
            int(factor.and_then(|bits| left.checked_mul(1 << bits)))
        }
        ">>" => match u32::try_from(right) {
            Ok(bits) => Ok(Data::Int(left >> bits.min(63))),
            Err(_) => Err("a shift by less than nothing".to_owned()),
        },
        "&" => Ok(Data::Int(left & right)),
        "|" => Ok(Data::Int(left | right)),
        "^" => Ok(Data::Int(left ^ right)),
        _ => Err(format!("`{operator}` between numbers")),
    }
}

fn fraction(operator: &str, left: f64, right: f64) -> Result<Data, String> {
    let by_zero = right == 0.0;
    let value = match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" | "//" | "%" if by_zero => return Err("a division by zero".to_owned()),
        "/" => left / right,
        "**" if left == 0.0 && right < 0.0 => return Err("a division by zero".to_owned()),
        "**" if left < 0.0 && right.fract() != 0.0 => {
            return Err("a root of a negative number".to_owned());
        }
        "**" => {
            let power = left.powf(right);
            if power.is_infinite() && left.is_finite() {
                return Err("a number that is too large".to_owned());
            }
            power
        }
        _ => return Err(format!("`{operator}` between numbers that are not whole")),
    };
    Ok(Data::Float(value))
}

/// An operator before a number.
pub(super) fn unary(operator: &str, value: &Data) -> Option<Result<Data, String>> {
    let number = number(value)?;
    Some(match (operator, number) {
        ("-", Number::Int(int)) => int
            .checked_neg()
            .map(Data::Int)
            .ok_or_else(|| LARGE.to_owned()),
        ("-", Number::Float(float)) => Ok(Data::Float(-float)),
        ("+", Number::Int(int)) => Ok(Data::Int(int)),
        ("+", Number::Float(float)) => Ok(Data::Float(float)),
        ("~", Number::Int(int)) => Ok(Data::Int(!int)),
        _ => Err(format!("`{operator}` before a number that is not whole")),
    })
}

/// How two values compare; absent if that is not known here.
pub(super) fn compare(left: &Data, right: &Data) -> Option<std::cmp::Ordering> {
    if let (Data::Text(left), Data::Text(right)) = (left, right) {
        return Some(left.cmp(right));
    }
    match (number(left)?, number(right)?) {
        (Number::Int(left), Number::Int(right)) => Some(left.cmp(&right)),
        (left, right) => left.float().partial_cmp(&right.float()),
    }
}

/// A number as Python prints it.
pub(super) fn printed(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    // Both print the shortest digits that read back as the same number, but differ in the form.
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') {
        plain
    } else {
        format!("{plain}.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_python_does() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (1e300, "1e+300"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(printed(number), expected);
        }
    }

    #[test]
    fn division_and_rest_round_down() {
        for (left, right, quotient, rest) in [
            (7, 2, 3, 1),
            (-7, 2, -4, 1),
            (7, -2, -4, -1),
            (-7, -2, 3, -1),
            (-6, 2, -3, 0),
        ] {
            let of = |operator| whole(operator, left, right);
            assert_eq!(of("//"), Ok(Data::Int(quotient)), "{left} {right}");
            assert_eq!(of("%"), Ok(Data::Int(rest)), "{left} {right}");
        }
        assert_eq!(whole("//", i64::MIN, -1), Err(LARGE.to_owned()));
        assert!(whole("%", 1, 0).is_err());
    }
}
