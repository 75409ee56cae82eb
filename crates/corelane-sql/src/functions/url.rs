//! `PARSE_URL`: the parts of a URL as `java.net.URL` cuts them.

use arrow::array::ArrayRef;
use datafusion_common::Result;

use super::call::Call;

/// The protocols that Java knows; a URL with another is malformed to it.
const PROTOCOLS: [&str; 6] = ["http", "https", "ftp", "file", "jar", "mailto"];

struct Url<'a> {
    protocol: &'a str,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    file: &'a str,
    fragment: Option<&'a str>,
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.trim().split_once(':')?;
        if !PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol)) {
            return None;
        }
        let (rest, fragment) = cut(rest, '#');
        let (authority, file) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, file) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                (Some(authority), file)
            }
            None => (None, rest),
        };
        let (path, query) = cut(file, '?');
        let url = Url { protocol, authority, path, query, file, fragment };
        url.has_good_port().then_some(url)
    }

    fn has_good_port(&self) -> bool {
        let host = self.authority.map_or("", |authority| authority.rsplit('@').next().unwrap_or(""));
        let after_brackets = host.rsplit(']').next().unwrap_or("");
        after_brackets.split_once(':').is_none_or(|(_, port)| port.is_empty() || port.parse::<u32>().is_ok())
    }

    fn host(&self) -> Option<&'a str> {
        let host = self.authority?.rsplit('@').next()?;
        let end = if host.starts_with('[') {
            host.find(']').map_or(host.len(), |end| end + 1)
        } else {
            host.find(':').unwrap_or(host.len())
        };
        Some(&host[..end])
    }

    fn part(&self, name: &str) -> Option<&'a str> {
        match name {
            "HOST" => Some(self.host().unwrap_or("")),
            "PATH" => Some(self.path),
            "QUERY" => self.query,
            "REF" => self.fragment,
            "PROTOCOL" => Some(self.protocol),
            "FILE" => Some(self.file),
            "AUTHORITY" => self.authority.filter(|authority| !authority.is_empty()),
            "USERINFO" => self.authority?.rsplit_once('@').map(|(user, _)| user),
            _ => None,
        }
    }
}

/// `PARSE_URL(url, part[, key])`; with a key the value of that parameter of the query.
pub(super) fn parse_url(call: &Call) -> Result<ArrayRef> {
    let (text, part) = (call.text(0)?, call.text(1)?);
    let key = if call.has(2) { Some(call.text(2)?) } else { None };
    call.slice_texts(text, |row, whole| {
        let Some(url) = Url::parse(whole) else { return Ok(None) };
        let Some(key) = key else { return Ok(url.part(part.at(row))) };
        let query = if part.at(row) == "QUERY" { url.query } else { None };
        Ok(query.and_then(|query| {
            query.split('&').find_map(|pair| pair.strip_prefix(key.at(row)).and_then(|value| value.strip_prefix('=')))
        }))
    })
}
