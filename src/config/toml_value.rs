//! TOML values into values of fields: the type must be the keyword's own.

use toml::de::{DeArray, DeInteger, DeValue};

use super::Refusal;
use super::schema::ValueKind;
use super::value::Value;

/// The value of a keyword. The refusal's message follows "`keyword` is …".
pub(super) fn read_value(kind: ValueKind, value: &DeValue<'_>) -> Result<Value, Refusal> {
    use ValueKind::{
        Bound, Decimal, Flag, Fractions, FractionsOrUnlimited, Proportions, Seconds, Whole, WholeOrUnlimited,
    };
    match (kind, value) {
        (Whole { .. } | WholeOrUnlimited { .. } | Seconds { .. } | Bound, DeValue::Integer(number)) => {
            kind.read(&decimal(number))
        }
        (Fractions { .. } | FractionsOrUnlimited { .. } | Decimal { .. }, DeValue::Integer(number)) => {
            kind.read(&decimal(number))
        }
        (Fractions { .. } | FractionsOrUnlimited { .. } | Decimal { .. }, DeValue::Float(number)) => {
            kind.read(number.as_str())
        }
        (Flag, DeValue::Boolean(_)) => kind.read(&as_text(value)),
        (Proportions, DeValue::Array(items)) => read_items(kind, items),
        (kind, DeValue::Array(items)) if kind.is_list() => read_items(kind, items),
        (Whole { .. } | Seconds { .. } | Fractions { .. } | Decimal { .. } | Flag | Proportions, _) => {
            Err(mismatch(kind, value))
        }
        (kind, DeValue::String(text)) if !kind.is_list() => kind.read(text),
        (kind, _) => Err(mismatch(kind, value)),
    }
}

fn read_items(kind: ValueKind, items: &DeArray<'_>) -> Result<Value, Refusal> {
    let wants_numbers = matches!(kind, ValueKind::Proportions);
    let mut texts = Vec::new();
    for item in items.iter() {
        match item.get_ref() {
            DeValue::Integer(number) if wants_numbers => texts.push(decimal(number)),
            DeValue::String(text) if !wants_numbers => texts.push(text.clone().into_owned()),
            other => {
                return Err(Refusal::misuse(format!("{}, and {} is among them", kind.description(), type_of(other))));
            }
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    kind.read_all(&texts)
}

fn mismatch(kind: ValueKind, value: &DeValue<'_>) -> Refusal {
    Refusal::misuse(format!("{}, not {}", kind.description(), type_of(value)))
}

/// A value as a command would write it; empty for what a command cannot write.
pub(super) fn as_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => decimal(number),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => String::new(),
    }
}

/// In base ten; what is beyond all ranges stays as it was written.
fn decimal(number: &DeInteger<'_>) -> String {
    let digits = number.as_str();
    match u128::from_str_radix(digits, number.radix()) {
        Ok(value) => value.to_string(),
        Err(_) => digits.to_owned(),
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
