//! Quoting, where the engines differ.

/// A literal in which a quotation mark is doubled and nothing else is special: DuckDB.
pub fn doubled(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal with backslashes before what is special: Hive's and Spark's, BigQuery's, Snowflake's.
pub fn backslashed(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for character in text.chars() {
        match character {
            '\'' | '\\' => {
                literal.push('\\');
                literal.push(character);
            }
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            other => literal.push(other),
        }
    }
    literal.push('\'');
    literal
}

/// A path in which DuckDB finds no pattern.
pub fn without_patterns_by_brackets(path: &str) -> String {
    let is_special = |character: char| matches!(character, '*' | '?' | '[');
    path.chars()
        .map(|character| if is_special(character) { format!("[{character}]") } else { character.into() })
        .collect()
}

/// A path in which Hadoop, and so Spark, finds no pattern.
pub fn without_patterns_by_backslashes(path: &str) -> String {
    let is_special = |character: char| matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '\\');
    path.chars()
        .map(|character| if is_special(character) { format!("\\{character}") } else { character.into() })
        .collect()
}

/// A name of one or more parts, such as `catalog.schema.table`, each in these quotation marks.
pub fn name(parts: &[&str], mark: char) -> String {
    let quoted = parts.iter().flat_map(|part| part.split('.')).map(|part| format!("{mark}{part}{mark}"));
    quoted.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_keep_their_text_within_themselves() {
        assert_eq!(doubled("it's \\ \"odd\""), "'it''s \\ \"odd\"'");
        assert_eq!(backslashed("it's \\ \"odd\"\n"), "'it\\'s \\\\ \"odd\"\\n'");
    }

    #[test]
    fn paths_are_no_patterns() {
        assert_eq!(without_patterns_by_brackets("/a*b[c]?"), "/a[*]b[[]c][?]");
        assert_eq!(without_patterns_by_backslashes("/a*{b}[c]"), "/a\\*\\{b\\}\\[c\\]");
    }

    #[test]
    fn every_part_of_a_name_is_quoted() {
        assert_eq!(name(&["lake.raw", "events"], '"'), "\"lake\".\"raw\".\"events\"");
    }
}
