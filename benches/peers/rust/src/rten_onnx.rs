//! The exported ONNX file by rten.

use std::sync::Arc;

use anyhow::Context;
use rten::{Model, RunOptions, ThreadPool};
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use crate::{CROP, SIDE, Score};

pub fn open(path: &str, threads: usize) -> anyhow::Result<Score> {
    let model = Model::load_file(path)?;
    let pool = Arc::new(ThreadPool::with_num_threads(threads));
    let input = model.node_id("images")?;
    let output = model.node_id("scores")?;
    Ok(Box::new(move |crops| {
        let images = TensorView::from_data(&[crops.len() / CROP, SIDE, SIDE, 3], crops);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&pool)));
        let mut values = model.run(vec![(input, images.into())], &[output], Some(options))?;
        let scores: Tensor<f32> =
            values.pop().and_then(|value| value.into_tensor()).context("no scores")?;
        Ok(scores.iter().map(|&score| f64::from(score)).sum())
    }))
}
