//! Query parameters by name; an unknown one is refused rather than ignored.

use std::str::FromStr;

use utoipa::{IntoParams, ToSchema};

use crate::error::ApiError;
use crate::model::{Faces, Wanted};

/// The pairs of a query that have not been taken yet.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs: Vec<(String, String)> = pairs.into_owned().collect();
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(ApiError::invalid(name, "the parameter once", "it twice"));
            }
        }
        Ok(Self(pairs))
    }

    /// Takes the value of a parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Takes a parameter that is one of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(ApiError::invalid(name, words.join(", "), quoted(&value)))
            }
        }
    }

    pub(crate) fn switch(&mut self, name: &str) -> Result<bool, ApiError> {
        let words = [("true", true), ("false", false)];
        Ok(self.word(name, &words)?.unwrap_or(false))
    }

    /// Takes a number within a range, which `expected` describes.
    pub(crate) fn number<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
        accepts: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.parse().ok().filter(accepts);
        number.map(Some).ok_or_else(|| ApiError::invalid(name, expected, quoted(&value)))
    }

    /// Refuses parameters that were not taken.
    pub(crate) fn finish(self, known: &[&str]) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let expected = match known {
                    [] => "no parameters".to_owned(),
                    known => format!("one of the parameters {}", known.join(", ")),
                };
                Err(ApiError::invalid("query", expected, quoted(name)))
            }
        }
    }
}

/// The value found, shortened.
fn quoted(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(60).collect();
    if chars.next().is_some() { format!("'{head}…'") } else { format!("'{head}'") }
}

const FACES: [(&str, Faces); 3] =
    [("all", Faces::All), ("largest", Faces::Largest), ("best", Faces::Best)];

/// The values of the parameter `faces`.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes a parameter to clients")]
pub(crate) enum FacesParameter {
    All,
    Largest,
    Best,
}

/// Optional columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) band: bool,
    pub(crate) match_probability: bool,
    pub(crate) main_cause: bool,
    pub(crate) causes: bool,
    pub(crate) weak_regions: bool,
    pub(crate) landmarks: bool,
    pub(crate) size: bool,
    pub(crate) components: bool,
    pub(crate) map: bool,
    pub(crate) embedding: bool,
}

/// An optional column.
#[derive(Clone, Copy, ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Column {
    Band,
    MatchProbability,
    MainCause,
    Causes,
    WeakRegions,
    Landmarks,
    Size,
    Components,
    Map,
    Embedding,
}

const COLUMNS: [(&str, Column); 10] = [
    ("band", Column::Band),
    ("match_probability", Column::MatchProbability),
    ("main_cause", Column::MainCause),
    ("causes", Column::Causes),
    ("weak_regions", Column::WeakRegions),
    ("landmarks", Column::Landmarks),
    ("size", Column::Size),
    ("components", Column::Components),
    ("map", Column::Map),
    ("embedding", Column::Embedding),
];

impl Columns {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let mut columns = Self::default();
        for name in text.split(',').filter(|name| !name.is_empty()) {
            let Some((_, column)) = COLUMNS.iter().find(|(known, _)| *known == name) else {
                let known: Vec<&str> = COLUMNS.iter().map(|(known, _)| *known).collect();
                let expected = format!("names of {}, separated by commas", known.join(", "));
                return Err(ApiError::invalid("columns", expected, quoted(name)));
            };
            match column {
                Column::Band => columns.band = true,
                Column::MatchProbability => columns.match_probability = true,
                Column::MainCause => columns.main_cause = true,
                Column::Causes => columns.causes = true,
                Column::WeakRegions => columns.weak_regions = true,
                Column::Landmarks => columns.landmarks = true,
                Column::Size => columns.size = true,
                Column::Components => columns.components = true,
                Column::Map => columns.map = true,
                Column::Embedding => columns.embedding = true,
            }
        }
        Ok(columns)
    }
}

/// Parameters of `/v1/score` and `/v1/best`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes parameters to clients")]
pub(crate) struct ScoreParameters {
    /// Which faces of each image: all of them, largest first; the largest one; or the one with the
    /// highest score.
    #[param(inline, required = false)]
    faces: FacesParameter,
    /// Every image is an aligned face of the network's size; nothing is detected. Otherwise, images
    /// of exactly that size are used as they are, and the faces in all others are detected and
    /// aligned.
    #[param(required = false)]
    aligned: bool,
    /// Additional keys for each face, separated by commas.
    #[param(inline, required = false, style = Form, explode = false)]
    columns: Vec<Column>,
}

/// What a request to `/v1/score` or `/v1/best` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ScoreQuery {
    /// `None` if not given.
    pub(crate) faces: Option<Faces>,
    pub(crate) aligned: bool,
    pub(crate) columns: Columns,
}

impl ScoreQuery {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let mut query = Query::parse(query)?;
        let faces = query.word("faces", &FACES)?;
        let aligned = query.switch("aligned")?;
        let columns = Columns::parse(&query.take("columns").unwrap_or_default())?;
        query.finish(&["faces", "aligned", "columns"])?;
        Ok(Self { faces, aligned, columns })
    }

    pub(crate) fn wanted(&self) -> Wanted {
        let Self { faces, aligned, columns } = *self;
        Wanted {
            faces: faces.unwrap_or_default(),
            aligned,
            map: columns.map,
            causes: columns.main_cause || columns.causes,
            weak_regions: columns.weak_regions,
            components: columns.components,
            embedding: columns.embedding,
            ..Wanted::default()
        }
    }
}

/// Takes the parameter `faces`.
pub(crate) fn take_faces(query: &mut Query) -> Result<Faces, ApiError> {
    Ok(query.word("faces", &FACES)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_rejected() {
        let query = ScoreQuery::parse(Some("faces=best&columns=map,band&aligned=true"));
        let query = query.expect("a query");
        assert_eq!(query.faces, Some(Faces::Best));
        assert!(query.aligned && query.columns.map && query.columns.band);
        assert!(!query.columns.embedding);
        assert_eq!(ScoreQuery::parse(None).expect("none").wanted(), Wanted::default());
        // Percent-encoded commas count as commas.
        assert!(ScoreQuery::parse(Some("columns=map%2Cband")).expect("a query").columns.band);
        for wrong in [
            "face=all",
            "faces=some",
            "faces",
            "columns=mask",
            "aligned=1",
            "aligned=true&aligned=true",
        ] {
            let error = ScoreQuery::parse(Some(wrong)).expect_err(wrong);
            assert_eq!(error.status(), 400, "{wrong}");
        }
    }
}
