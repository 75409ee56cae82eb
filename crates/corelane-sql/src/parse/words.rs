//! Matching words that are keywords in Flink but not for sqlparser.
//!
//! `WATERMARK`, `METADATA` or `OVERWRITING` are ordinary words to the tokenizer. Back-ticked
//! words never match, so a column may be called `watermark`.

use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// The text of an unquoted word.
pub(super) fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
        _ => None,
    }
}

pub(super) fn is_word(token: &Token, expected: &str) -> bool {
    word(token).is_some_and(|word| word.eq_ignore_ascii_case(expected))
}

/// Whether the tokens begin with these words.
pub(super) fn starts_with(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    words.len() <= tokens.len() && words.iter().zip(tokens).all(|(word, token)| is_word(&token.token, word))
}

/// What this layer asks of a [`Parser`] beyond its own keyword functions.
pub(super) trait Words {
    fn sees(&self, words: &[&str]) -> bool;
    fn eat(&mut self, words: &[&str]) -> bool;
    fn require(&mut self, words: &[&str]) -> Result<(), ParserError>;
}

impl Words for Parser<'_> {
    /// Whether the next tokens are these words.
    fn sees(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| is_word(&self.peek_nth_token_ref(index).token, word))
    }

    /// Takes these words if they come next.
    fn eat(&mut self, words: &[&str]) -> bool {
        let seen = self.sees(words);
        if seen {
            words.iter().for_each(|_| self.advance_token());
        }
        seen
    }

    /// Takes these words or says which was expected.
    fn require(&mut self, words: &[&str]) -> Result<(), ParserError> {
        for word in words {
            if !self.eat(&[word]) {
                return self.expected_ref(word, self.peek_token_ref());
            }
        }
        Ok(())
    }
}
