//! What a URL refers to, and its name in rows.

use std::path::{Path, PathBuf};

use super::Format;

const SCHEMES: [&str; 5] = ["http", "https", "s3", "gs", "az"];

/// A URL of an image, an archive, a table or a prefix.
#[derive(Debug, Clone)]
pub(super) struct Url(reqwest::Url);

/// What a URL refers to, judged by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Tar,
    Records,
    Table(Format),
    /// All objects whose names start with it.
    Prefix,
    /// Something that cannot be read over a network, with the reason.
    Unsupported(&'static str),
}

/// Whether a name is a URL that this module reads.
pub(super) fn is_url(name: &Path) -> bool {
    let name = name.to_string_lossy();
    name.split_once("://")
        .is_some_and(|(scheme, _)| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)))
}

/// The name of a URL in rows, without query, fragment and password, which may be secrets; and its
/// relative name.
pub(super) fn names(name: &Path) -> (String, PathBuf) {
    let shown = match Url::parse(name) {
        Ok(url) => url.shown(),
        // In any case, what follows a question mark may be a secret.
        Err(_) => without_query(&name.to_string_lossy()).to_owned(),
    };
    let relative = shown.split_once("://").map_or(shown.as_str(), |(_, rest)| rest);
    let relative = Path::new(relative).components();
    let relative = relative.filter(|part| matches!(part, std::path::Component::Normal(_)));
    let relative = relative.collect::<PathBuf>();
    (shown, relative)
}

fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

impl Url {
    /// # Errors
    ///
    /// If the name is not a complete URL.
    pub(super) fn parse(name: &Path) -> Result<Self, String> {
        let text = name.to_str().ok_or("this is not a URL, since it is not UTF-8")?;
        let url: reqwest::Url =
            text.parse().map_err(|error| format!("this is not a complete URL: {error}"))?;
        match url.host_str() {
            Some(host) if !host.is_empty() => Ok(Self(url)),
            _ => Err("this URL names no server or bucket".to_owned()),
        }
    }

    pub(super) fn scheme(&self) -> &str {
        self.0.scheme()
    }

    pub(super) fn as_http(&self) -> &reqwest::Url {
        &self.0
    }

    /// The bucket or container.
    pub(super) fn bucket(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The path as written in the URL.
    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    /// The URL as shown in rows.
    pub(super) fn shown(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        // This fails only for URLs without a host, which cannot have credentials.
        let _ = (url.set_username(""), url.set_password(None));
        url.to_string()
    }

    pub(super) fn kind(&self) -> Kind {
        let is_store = !self.scheme().starts_with("http");
        let path = self.path().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
        if is_store && (path.ends_with('/') || path.is_empty()) {
            Kind::Prefix
        } else if ends(&[".tar", ".tar.gz", ".tgz"]) {
            Kind::Tar
        } else if ends(&[".rec"]) {
            Kind::Records
        } else if let Some(format) = Format::of(&path) {
            Kind::Table(format)
        } else if ends(&[".zip"]) {
            Kind::Unsupported(
                "zip archives can be read only from files, since their directory is at the end: \
                 download it, or pack it as a tar archive",
            )
        } else if ends(&[".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"]) {
            Kind::Unsupported("tar archives compressed with anything but gzip cannot be read")
        } else {
            Kind::Image
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_credentials_or_query() {
        let shown = |url: &str| {
            let (path, relative) = names(Path::new(url));
            (path, relative.to_string_lossy().replace('\\', "/"))
        };
        let of = |path: &str, relative: &str| (path.to_owned(), relative.to_owned());
        let signed = "https://me:secret@h.example:8443/a/../b.jpg?X-Signature=secret#f";
        assert_eq!(shown(signed), of("https://h.example:8443/b.jpg", "h.example:8443/b.jpg"));
        assert_eq!(shown("s3://bucket/a/b.jpg"), of("s3://bucket/a/b.jpg", "bucket/a/b.jpg"));
        assert_eq!(shown("https://?secret"), of("https://", ""));
    }

    #[test]
    fn url_kind_is_inferred_from_path() {
        let kind = |url: &str| Url::parse(Path::new(url)).unwrap().kind();
        assert_eq!(kind("https://h/a.jpg?file=b.tar"), Kind::Image);
        assert_eq!(kind("https://h/data-000.TAR.GZ?sig=1"), Kind::Tar);
        assert_eq!(kind("s3://b/train.rec"), Kind::Records);
        assert_eq!(kind("gs://b/t.parquet"), Kind::Table(Format::Parquet));
        assert_eq!(kind("az://c/t.arrow"), Kind::Table(Format::Arrow));
        assert_eq!([kind("s3://b/p/"), kind("s3://b")], [Kind::Prefix; 2]);
        assert_eq!(kind("https://h/p/"), Kind::Image);
        assert!(matches!(kind("s3://b/a.zip"), Kind::Unsupported(_)));
        assert!(Url::parse(Path::new("s3:///a.jpg")).is_err());
        assert!(is_url(Path::new("S3://b/a")) && !is_url(Path::new("c://b/a")));
        assert!(!is_url(Path::new("a/s3://b")));
    }
}
