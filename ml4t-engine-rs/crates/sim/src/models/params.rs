//! Parameters of the models that are compiled in.

use crate::error::{Result, SimError};

/// A parameter of a compiled-in model.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// A number.
    Number(f64),
    /// A switch.
    Flag(bool),
    /// A word out of a few.
    Text(String),
    /// A list of numbers.
    Numbers(Vec<f64>),
    /// Not set.
    Missing,
}

/// Parameters by name, as the plugin class holds them.
#[derive(Clone, Debug, Default)]
pub struct Params(pub Vec<(String, Param)>);

/// The parameters of one model, whose name goes into messages.
///
/// A parameter that the model cannot do without has no default here: defaults are said once, by the plugin class.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) model: &'a str,
    pub(super) params: &'a Params,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> &Param {
        self.params.0.iter().find(|(n, _)| n == name).map_or(&Param::Missing, |(_, p)| p)
    }

    fn expected<T>(&self, name: &str, what: &str) -> Result<T> {
        let (model, found) = (self.model, self.get(name));
        Err(SimError::config(format!("{model}: parameter {name} must be {what}, found {found:?}")))
    }

    pub(super) fn number(&self, name: &str) -> Result<f64> {
        match self.get(name) {
            Param::Number(x) => Ok(*x),
            _ => self.expected(name, "a number"),
        }
    }

    pub(super) fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        if *self.get(name) == Param::Missing { Ok(default) } else { self.number(name) }
    }

    /// A number that may be left out; NaN is none either.
    pub(super) fn optional(&self, name: &str) -> Result<Option<f64>> {
        let x = self.number_or(name, f64::NAN)?;
        Ok((!x.is_nan()).then_some(x))
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            Param::Flag(x) => Ok(*x),
            Param::Missing => Ok(default),
            _ => self.expected(name, "true or false"),
        }
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        match self.get(name) {
            Param::Numbers(list) => Ok(list.clone()),
            _ => self.expected(name, "a list of numbers"),
        }
    }

    /// A list that has an entry for each tier, one more than `limits` ends.
    pub(super) fn per_tier(&self, name: &str, limits: &[f64]) -> Result<Vec<f64>> {
        let list = self.numbers(name)?;
        let tiers = limits.len() + 1;
        if list.len() == tiers { Ok(list) } else { self.expected(name, &format!("a list of {tiers} numbers")) }
    }

    /// The position in `words` of the one that is given, 0 where none is.
    pub(super) fn choice(&self, name: &str, words: &[&str]) -> Result<usize> {
        let position = match self.get(name) {
            Param::Missing => Some(0),
            Param::Text(text) => words.iter().position(|word| word == text),
            _ => None,
        };
        position.map_or_else(|| self.expected(name, &words.join(" or ")), Ok)
    }
}

/// The error of a model that is not compiled in.
pub(super) fn unknown(kind: &str, name: &str, known: &[&str]) -> SimError {
    SimError::unknown_name(format!("no {kind} model {name:?} is compiled into the engine; known: {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(param: Param) -> Params {
        Params(vec![("given".to_owned(), param)])
    }

    fn refusal<T: std::fmt::Debug>(params: &Params, read: impl Fn(&Reader<'_>) -> Result<T>) -> String {
        read(&Reader { model: "some_model", params }).unwrap_err().to_string()
    }

    #[test]
    fn a_parameter_of_the_wrong_type_is_refused_with_what_was_found() {
        let text = refusal(&given(Param::Flag(true)), |r| r.number("given"));
        assert!(text.contains("some_model: parameter given must be a number, found Flag(true)"), "{text}");
        let text = refusal(&given(Param::Number(1.0)), |r| r.flag_or("given", true));
        assert!(text.contains("must be true or false, found Number(1.0)"), "{text}");
        let text = refusal(&given(Param::Number(1.0)), |r| r.numbers("given"));
        assert!(text.contains("must be a list of numbers, found Number(1.0)"), "{text}");
        let text = refusal(&given(Param::Numbers(vec![1.0])), |r| r.per_tier("given", &[1.0]));
        assert!(text.contains("must be a list of 2 numbers, found Numbers([1.0])"), "{text}");
        let text = refusal(&given(Param::Text("value".to_owned())), |r| r.choice("given", &["one", "other"]));
        assert!(text.contains("must be one or other, found Text(\"value\")"), "{text}");
    }

    #[test]
    fn a_parameter_that_is_not_set_is_missing_unless_it_may_be() -> Result<()> {
        let params = given(Param::Missing);
        let reader = Reader { model: "some_model", params: &params };
        for name in ["given", "other"] {
            assert!(reader.number(name).is_err());
            assert!(reader.numbers(name).is_err());
            assert_eq!(reader.optional(name)?, None);
            assert!(reader.flag_or(name, true)?);
            assert_eq!(reader.choice(name, &["first", "second"])?, 0);
        }
        Ok(())
    }
}
