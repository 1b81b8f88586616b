//! The account's number (domain.md section 1).

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// An account's number: one to twenty ASCII digits, kept as text (domain.md section 1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// Reads an account number.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for anything but one to twenty digits.
    pub fn parse(text: &str) -> Result<Self> {
        let is_number = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("account id `{}` is not a number", super::printable(text)),
            )
            .with_hint("an Optimizely account id is all digits, as in the address of the web application"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_an_account() {
        assert_eq!(AccountId::parse("596780373").unwrap().as_str(), "596780373");
        for wrong in ["", "12a", "-1", "1/2", "١٢", "123456789012345678901"] {
            assert!(AccountId::parse(wrong).is_err(), "{wrong}");
        }
    }
}
