//! What a form brings: fields by name, with caps.

/// The largest form in bytes: ten thousand Chinese characters are ninety thousand bytes on their way.
pub(super) const MAX_FORM: usize = 256 << 10;

/// Most fields of a form: the one that corrects facts has two for each, of which 50 are a ticket's own and 40 a centre's.
pub(super) const MAX_FIELDS: usize = 240;

/// The fields of a form, as they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a body; `None` when it has too many fields. Line ends become those of everywhere else.
    pub(crate) fn read(body: &[u8]) -> Option<Fields> {
        let mut fields = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.len() == MAX_FIELDS {
                return None;
            }
            fields.push((name.into_owned(), value.replace("\r\n", "\n").replace('\0', "")));
        }
        Some(Fields(fields))
    }

    /// What stands in a field, without blanks around it; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// The same, or nothing.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// What stands in a field, if the form has it.
    pub(super) fn has(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim().to_owned())
    }

    /// All fields, each without blanks around it.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.trim()))
    }

    /// A password: every blank counts.
    pub(super) fn secret(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A field put in by the page itself.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_bounded() {
        let fields = Fields::read("text=%E6%8B%92%E8%BD%BD%0D%0Ab+c&empty=+&p=+x+".as_bytes()).unwrap();
        assert_eq!(fields.text("text"), "拒载\nb c");
        assert_eq!((fields.given("empty"), fields.given("none")), (None, None));
        assert_eq!(fields.secret("p"), " x ");
        assert!(Fields::read("a=b&".repeat(MAX_FIELDS + 1).as_bytes()).is_none());
    }
}
