//! The steps of a study for one data set.

use std::collections::BTreeMap;

use super::StudyError;
use super::compute::{self, Progress};
use super::config::{EmbeddingsFrom, MethodConfig, RecogniserConfig, ScoresFrom};
use super::differences::differences;
use super::evaluation::{RecogniserEvaluation, TemplateEmbeddings};
use super::examples::{ExampleFiles, MapSource, extremes};
use super::inputs::Dataset;
use super::missing::MissingImages;
use super::networks::without_flip;
use super::results::{DatasetRecord, MissingRecord, QualityRecord, Results};
use super::run::{Event, StudyRun};
use super::scores::{Scored, attention, correlations, embedding_norms, scores_file, write_scores};
use crate::figure::Histogram;
use crate::files::{EmbeddingFile, Failed, QualityFile, first_names};

/// Maximum number of failed images that a record names.
pub(super) const FAILURES_NAMED: usize = 5;

/// One data set being measured.
pub(super) struct DatasetRun<'a, 'c> {
    pub(super) study: &'a StudyRun<'a>,
    pub(super) dataset: &'a mut Dataset<'c>,
    pub(super) missing: MissingImages,
    /// Its index in the study file, from 0.
    pub(super) number: usize,
}

/// A recogniser's results for the data set.
struct Embedded {
    templates: TemplateEmbeddings,
    /// Some of the images that could not be embedded, and why.
    failures: Vec<String>,
}

/// All recognisers' results for the data set.
struct EmbeddedByAll {
    by_recogniser: Vec<Embedded>,
    /// The norms of the images' embeddings, by recogniser, if a method needs them.
    norms: BTreeMap<usize, Vec<f64>>,
}

impl DatasetRun<'_, '_> {
    /// Measures everything and adds it to the results.
    pub(super) fn run(mut self, results: &mut Results) -> Result<(), StudyError> {
        let names = self.dataset.benchmark.names();
        self.note_missing(names.len());
        let attention = attention(self.study, self.dataset)?;
        // Embeddings first: a method may be their norm. Only the compared units, images or
        // templates, stay in memory.
        let EmbeddedByAll { by_recogniser, norms } = self.embed(&names)?;
        let scored = self.score(&names, attention, &norms)?;
        let by_identity = self.evaluate(&names, &scored, by_recogniser, results)?;
        self.add_qualities(&scored, results)?;
        let name = self.name();
        results.correlations.push(correlations(name, &scored, &self.missing.images));
        let file = self.study.output.join(scores_file(self.number, name));
        write_scores(&file, &names, &self.study.config.methods, &scored)?;
        results.datasets.push(self.record(by_identity));
        Ok(())
    }

    fn name(&self) -> &str {
        &self.dataset.config.name
    }

    fn note(&self, text: String) {
        (self.study.on_event)(Event::Note(text));
    }

    fn note_missing(&self, total: usize) {
        for MissingRecord { of, images, examples } in &self.missing.records {
            self.note(format!(
                "{}, {of}: {images} of {total} images are missing in its file, and their \
                 comparisons are left out for every method: {examples}",
                self.name()
            ));
        }
    }

    /// The embeddings of the compared units, by every recogniser.
    fn embed(&mut self, names: &[String]) -> Result<EmbeddedByAll, StudyError> {
        let config = self.study.config;
        let mut all = EmbeddedByAll { by_recogniser: Vec::new(), norms: BTreeMap::new() };
        for (index, recogniser) in config.recognisers.iter().enumerate() {
            let is_method = |m: &MethodConfig| m.from == ScoresFrom::EmbeddingNorm(index);
            let norms = config.methods.iter().any(is_method);
            let (embedded, norms) = match &recogniser.from {
                EmbeddingsFrom::Model(_) => {
                    self.embed_by_network(recogniser, names.len(), norms)?
                }
                EmbeddingsFrom::Files(_) => self.embed_from_file(recogniser, names, norms)?,
            };
            all.by_recogniser.push(embedded);
            all.norms.extend(norms.map(|norms| (index, norms)));
        }
        Ok(all)
    }

    fn embed_by_network(
        &mut self,
        recogniser: &RecogniserConfig,
        images: usize,
        with_norms: bool,
    ) -> Result<(Embedded, Option<Vec<f64>>), StudyError> {
        let EmbeddingsFrom::Model(model) = &recogniser.from else {
            unreachable!("a recogniser without a network: this is a bug")
        };
        let what = self.what(recogniser);
        let network = &self.study.networks[&without_flip(model)];
        let progress = |progress| (self.study.on_event)(Event::Progress(progress));
        let found =
            compute::embeddings(self.dataset, network, model.flip, self.study.cache, &progress)?;
        if found.from_cache > 0 && found.from_cache < images {
            self.note(format!(
                "embeddings of {} by {}: {} of {images} come from an earlier run",
                self.name(),
                recogniser.name,
                found.from_cache
            ));
        }
        let norms = with_norms
            .then(|| embedding_norms(images, found.width, found.reader()?))
            .transpose()?;
        let (present, read) = (self.missing.without_missing(found.present()), found.reader()?);
        let templates =
            TemplateEmbeddings::gather(&self.dataset.benchmark, present, found.width, what, read)?;
        Ok((Embedded { templates, failures: describe_failures(&found.failures) }, norms))
    }

    fn embed_from_file(
        &self,
        recogniser: &RecogniserConfig,
        names: &[String],
        with_norms: bool,
    ) -> Result<(Embedded, Option<Vec<f64>>), StudyError> {
        let EmbeddingsFrom::Files(files) = &recogniser.from else {
            unreachable!("a recogniser without files: this is a bug")
        };
        let (file, list) = &files[self.name()];
        let file = EmbeddingFile::read(file, list.as_deref())?;
        let rows = file.rows_of(names, self.study.config.settings.missing)?.rows;
        let read = |image: u32, row: &mut [f32]| {
            let found = rows[image as usize];
            found.inspect(|&found| row.copy_from_slice(file.embeddings.row(found)));
            Ok(found.is_some())
        };
        let dim = file.embeddings.dim();
        let norms = with_norms.then(|| embedding_norms(names.len(), dim, read)).transpose()?;
        let present = self.missing.without_missing(rows.iter().map(Option::is_some).collect());
        let (benchmark, what) = (&self.dataset.benchmark, self.what(recogniser));
        let templates = TemplateEmbeddings::gather(benchmark, present, dim, what, read)?;
        Ok((Embedded { templates, failures: Vec::new() }, norms))
    }

    /// The data set and a recogniser, for errors.
    fn what(&self, recogniser: &RecogniserConfig) -> String {
        format!("dataset '{}', recogniser '{}'", self.name(), recogniser.name)
    }

    /// The scores of every method, in the methods' order.
    fn score(
        &mut self,
        names: &[String],
        mut attention: BTreeMap<usize, compute::Column>,
        norms: &BTreeMap<usize, Vec<f64>>,
    ) -> Result<Vec<Scored>, StudyError> {
        let StudyRun { config, networks, cache, on_event, .. } = *self.study;
        let progress = |progress| on_event(Event::Progress(progress));
        let mut all = Vec::with_capacity(config.methods.len());
        for (index, method) in config.methods.iter().enumerate() {
            let scored = match &method.from {
                ScoresFrom::Attention(..) => {
                    attention.remove(&index).expect("scores of each: this is a bug").into()
                }
                ScoresFrom::Network(model) => {
                    compute::quality_scores(self.dataset, &networks[model], cache, &progress)?
                        .into()
                }
                ScoresFrom::Crop(measure) => {
                    compute::crop_measures(self.dataset, *measure, cache, &progress)?.into()
                }
                ScoresFrom::EmbeddingNorm(recogniser) => {
                    Scored::from_norms(norms[recogniser].clone(), &self.missing.images)
                }
                ScoresFrom::Files(files, column) => {
                    let file = QualityFile::read(&files[self.name()], column.as_deref())?;
                    let policy = config.settings.missing;
                    Scored::from_file(file.for_images(names, Failed::Lowest, policy)?)
                }
            };
            if scored.failed > 0 {
                self.note(format!(
                    "{}, {}: {} of {} images have no score and count as the lowest",
                    self.name(),
                    method.name,
                    scored.failed,
                    names.len()
                ));
            }
            all.push(scored);
        }
        Ok(all)
    }

    /// Baselines, curves and differences for every recogniser, holding one recogniser's comparisons
    /// in memory at a time. Returns whether intervals are over persons.
    fn evaluate(
        &self,
        names: &[String],
        scored: &[Scored],
        embedded: Vec<Embedded>,
        results: &mut Results,
    ) -> Result<bool, StudyError> {
        let config = self.study.config;
        let methods: Vec<(&str, &[f64])> = config
            .methods
            .iter()
            .zip(scored)
            .map(|(method, scored)| (method.name.as_str(), scored.scores.as_slice()))
            .collect();
        let total = embedded.len() * (methods.len() + 1);
        let step = format!("curves of {}", self.name());
        let at = |done| {
            let progress = Progress { step: step.clone(), done, total };
            (self.study.on_event)(Event::Progress(progress));
        };
        let (mut done, mut by_identity) = (0, false);
        for (recogniser, Embedded { templates, failures }) in
            config.recognisers.iter().zip(embedded)
        {
            let absent = templates.missing();
            let evaluation = RecogniserEvaluation::new(
                (self.name(), &recogniser.name),
                &config.settings,
                &self.dataset.benchmark,
                templates,
                self.study.cache,
            )?;
            if evaluation.left_out > 0 {
                let reason = match failures.is_empty() {
                    true => format!(": {}", first_names(absent.iter().map(|&i| names[i].as_str()))),
                    false => format!("; the first failures: {}", failures.join("; ")),
                };
                self.note(format!(
                    "{}, {}: {} comparisons are left out, because {} images are missing or have \
                     no embedding{reason}",
                    self.name(),
                    recogniser.name,
                    evaluation.left_out,
                    absent.len(),
                ));
            }
            by_identity |= evaluation.has_identities();
            let evaluator = evaluation.evaluator();
            results.baselines.push(evaluation.baseline(&evaluator, failures)?);
            let mut curves = evaluation.methods(&evaluator, &methods, |more| at(done + more))?;
            results.differences.extend(differences(&curves, config.settings.confidence_level));
            curves.iter_mut().for_each(|curve| curve.replicates.clear());
            results.curves.extend(curves);
            results.curves.extend(evaluation.baseline_curves(&evaluator)?);
            done += methods.len() + 1;
            at(done);
        }
        Ok(by_identity)
    }

    /// The distribution of each method's scores, with examples of its worst and best images.
    fn add_qualities(
        &mut self,
        scored: &[Scored],
        results: &mut Results,
    ) -> Result<(), StudyError> {
        let StudyRun { config, networks, output, .. } = *self.study;
        for (index, (method, scored)) in config.methods.iter().zip(scored).enumerate() {
            let map_source = match &method.from {
                ScoresFrom::Attention(model, method) if method.aggregation().has_map() => {
                    Some(MapSource { network: &networks[model], method: *method })
                }
                _ => None,
            };
            let files = ExampleFiles { folder: output, tag: &format!("{}-{index}", self.number) };
            let (worst, best) = extremes(
                self.dataset,
                &scored.scores,
                config.settings.faces,
                map_source.as_ref(),
                &files,
            )?;
            let finite: Vec<f64> =
                scored.scores.iter().copied().filter(|score| score.is_finite()).collect();
            results.qualities.push(QualityRecord {
                dataset: self.name().to_owned(),
                method: method.name.clone(),
                scores: Histogram::of(&[&finite]).and_then(|mut one| one.pop()),
                failed: scored.failed,
                failures: scored.failures.clone(),
                worst,
                best,
            });
        }
        Ok(())
    }

    fn record(self, by_identity: bool) -> DatasetRecord {
        let Dataset { config, benchmark, without_face, .. } = &*self.dataset;
        let mated = benchmark.pairs.iter().filter(|pair| pair.mated).count();
        DatasetRecord {
            name: config.name.clone(),
            kind: config.kind.name().to_owned(),
            path: config.path.display().to_string(),
            images: benchmark.images.len(),
            templates: benchmark.templates.as_ref().map(Vec::len),
            mated,
            non_mated: benchmark.pairs.len() - mated,
            sha256: self.dataset.sha256(),
            by_identity,
            without_face: without_face.len(),
            without_face_examples: self.dataset.without_face_examples(),
            missing: self.missing.records,
        }
    }
}

/// Some of the images that failed, and why.
pub(super) fn describe_failures(failures: &[(String, attn_fiqa::status::Failure)]) -> Vec<String> {
    let first = failures.iter().take(FAILURES_NAMED);
    first.map(|(name, failure)| format!("{name}: {}: {failure}", failure.status)).collect()
}
