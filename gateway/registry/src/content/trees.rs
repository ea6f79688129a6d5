//! Ensembles of trees: XGBoost's JSON and LightGBM's text, walked as they come. Owns that such a file is whole, holds nothing
//! else and nothing behind; what its trees are is asked when it is served.

use super::Refused;
use crate::kind::Format;

/// The deepest nesting of JSON.
const DEEPEST: usize = 64;
/// So much of a name or a line is looked at.
const SHOWN: usize = 32;
/// The member without which JSON is no model of XGBoost.
const LEARNER: &[u8] = b"learner";

/// A walk through a file.
#[derive(Debug)]
pub(super) enum Walk {
    Json(Json),
    Text(Text),
}

impl Walk {
    pub(super) fn of(format: Format) -> Self {
        if format == Format::Lightgbm { Self::Text(Text::default()) } else { Self::Json(Json::default()) }
    }

    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Json(_) => Format::Xgboost,
            Self::Text(_) => Format::Lightgbm,
        }
    }

    /// Walks on.
    ///
    /// # Errors
    /// The bytes are none that such a file has there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Json(json) => bytes.iter().try_for_each(|byte| json.take(*byte)),
            Self::Text(text) => bytes.iter().try_for_each(|byte| text.take(*byte)),
        }
    }

    /// The verdict, once all bytes have come.
    ///
    /// # Errors
    /// The file is not whole, or is no model.
    pub(super) fn end(&self) -> Result<(), Refused> {
        match self {
            Self::Json(json) if !json.is_over => Err(Refused::new("it ends within its JSON: send all of it")),
            Self::Json(json) if !json.has_learner => Err(Refused::new(
                "it is JSON, and no model of XGBoost: there is no member `learner`, as `save_model(\"model.json\")` writes it",
            )),
            Self::Text(text) if !(text.has_trees && text.is_over && text.line.is_empty()) => {
                Err(Refused::new("it begins like LightGBM's text, and does not end like it: send all of it"))
            }
            Self::Json(_) | Self::Text(_) => Ok(()),
        }
    }
}

/// JSON, as far as it tells where it ends and what its members are called.
#[derive(Debug, Default)]
pub(super) struct Json {
    /// The collections that are open: whether each is an object.
    open: Vec<bool>,
    is_in_text: bool,
    is_escaped: bool,
    /// Whether the text that is read is the name of a member of the outermost object, and what of it was read.
    name: Option<Vec<u8>>,
    /// Whether a name comes next in the innermost object.
    expects_name: bool,
    has_learner: bool,
    is_over: bool,
}

impl Json {
    fn take(&mut self, byte: u8) -> Result<(), Refused> {
        if self.is_in_text {
            return self.within_text(byte);
        }
        if self.is_over {
            return if byte.is_ascii_whitespace() { Ok(()) } else { Err(behind()) };
        }
        match byte {
            b'"' => {
                self.is_in_text = true;
                self.name = (self.open.len() == 1 && self.expects_name).then(Vec::new);
            }
            b'{' | b'[' => {
                if self.open.len() >= DEEPEST {
                    return Err(Refused::new(format!("its JSON is nested more than {DEEPEST} deep")));
                }
                self.open.push(byte == b'{');
                self.expects_name = byte == b'{';
            }
            b'}' | b']' => {
                if self.open.pop() != Some(byte == b'}') {
                    return Err(broken());
                }
                self.is_over = self.open.is_empty();
                self.expects_name = false;
            }
            b',' => self.expects_name = self.open.last() == Some(&true),
            b':' => self.expects_name = false,
            byte if byte.is_ascii_whitespace() || byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {}
            _ => return Err(broken()),
        }
        Ok(())
    }

    fn within_text(&mut self, byte: u8) -> Result<(), Refused> {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => {
                self.is_in_text = false;
                self.has_learner |= self.name.take().is_some_and(|name| name == LEARNER);
            }
            ..0x20 => return Err(broken()),
            byte => {
                if let Some(name) = self.name.as_mut().filter(|name| name.len() < SHOWN) {
                    name.push(byte);
                }
            }
        }
        Ok(())
    }
}

/// Lines, of which the last one that is not empty must be one that LightGBM ends with.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The beginning of the line that is read.
    line: Vec<u8>,
    has_trees: bool,
    is_over: bool,
}

impl Text {
    fn take(&mut self, byte: u8) -> Result<(), Refused> {
        match byte {
            b'\n' => {
                let line = std::mem::take(&mut self.line);
                let line = line.trim_ascii();
                if !line.is_empty() {
                    let are_trees_over = line == b"end of trees";
                    self.has_trees |= are_trees_over;
                    // Behind the trees the program writes the one, the library for Python the other behind that; or nobody any.
                    let is_last = line == b"end of parameters" || line.starts_with(b"pandas_categorical:");
                    self.is_over = are_trees_over || is_last;
                }
            }
            b'\r' | b'\t' | 0x20.. => {
                if self.line.len() < SHOWN {
                    self.line.push(byte);
                }
            }
            _ => return Err(Refused::new("it begins like LightGBM's text, and has bytes that no text has")),
        }
        Ok(())
    }
}

fn behind() -> Refused {
    Refused::new("there are bytes behind the end of its JSON: a model ends there, and something else was appended")
}

fn broken() -> Refused {
    Refused::new("it begins like JSON, and is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(format: Format, text: &str) -> Result<(), String> {
        let mut walk = Walk::of(format);
        let walked = walk.take(text.as_bytes()).and_then(|()| walk.end());
        walked.map_err(|refused| refused.0.into_owned())
    }

    #[test]
    fn json_is_a_model_where_its_outermost_object_has_a_learner() {
        let json = |text: &str| said(Format::Xgboost, text);
        assert_eq!(json(r#"{"version": [2, 1], "learner": {"a": "}\"", "b": [1e-3, null]}}"#), Ok(()));
        for (text, says) in [
            (r#"{"a": {"learner": 1}}"#, "no member `learner`"),
            (r#"{"a": "learner"}"#, "no member `learner`"),
            (r#"{"learner": [}"#, "is none"),
            (r#"{"learner": 1} x"#, "appended"),
            (r#"{"learner": 1"#, "ends within"),
            ("{\"learner\": \"\u{1}\"}", "is none"),
        ] {
            let found = json(text).unwrap_err();
            assert!(found.contains(says), "{text}: {found}");
        }
        let deep = format!("{{\"learner\": {}", "[".repeat(100));
        assert!(json(&deep).unwrap_err().contains("nested"));
    }

    #[test]
    fn text_ends_as_lightgbm_ends_it() {
        let text = |text: &str| said(Format::Lightgbm, text);
        let trees = "tree\nversion=v4\n\nTree=0\nleaf_value=1 2\n\nend of trees\n";
        assert_eq!(text(&format!("{trees}\nparameters:\nend of parameters\n\npandas_categorical:null\n")), Ok(()));
        assert_eq!(text(&format!("{trees}\r\nend of parameters\r\n")), Ok(()));
        for end in ["end of parameters", "end of parameters\nmore\n", "pandas_categorical:nu"] {
            assert!(text(&format!("{trees}{end}")).unwrap_err().contains("does not end"), "{end}");
        }
        assert!(text("tree\nend of parameters\n").is_err(), "without trees");
        assert!(text(&format!("{trees}end of parameters\nPK\u{3}\u{4}")).unwrap_err().contains("no text has"));
    }
}
