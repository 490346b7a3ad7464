//! Finds the dictionary of tensors among a pickle's values.

use std::collections::HashSet;

use super::vocabulary::{Object, StateDictValues, StateDictVocabulary};
use super::{LIMITS, PickleProblem, PickledTensor, not_a_state_dict};
use crate::checkpoint::error::CheckpointProblem;
use crate::pickle::{Id, Value, run};
use crate::sanitize::sanitized_name;

/// Keys under which training code stores the state dict: those of timm and Lightning, of PyTorch's
/// tutorial, and of InsightFace, which stores its classifier next to it.
const WRAPPERS: [&str; 4] = ["state_dict", "model", "model_state_dict", "state_dict_backbone"];

/// Keys of a moving average of the weights (EMA) in checkpoints of timm and others. If there are
/// both, the weights themselves are used.
const EMA_WRAPPERS: [&str; 5] =
    ["state_dict_ema", "model_ema", "ema_state_dict", "ema_model", "ema"];

/// Maximum nesting of wrappers.
const MAX_WRAPPERS: usize = 4;

/// Maximum number of keys that an error names.
const NAMED_KEYS: usize = 5;

/// A dictionary of tensors.
#[derive(Debug)]
pub(in crate::checkpoint) struct StateDict<'a> {
    /// Unique names with their tensors, in the file's order.
    pub(in crate::checkpoint) tensors: Vec<(&'a str, PickledTensor<'a>)>,
    /// Keys that led to it, outermost first.
    pub(in crate::checkpoint) wrappers: Vec<String>,
    /// Keys next to it, such as `epoch`.
    pub(in crate::checkpoint) beside: Vec<String>,
}

/// The state dict in `data.pkl`, unwrapped.
pub(in crate::checkpoint) fn find_state_dict(
    pickle: &[u8],
) -> Result<StateDict<'_>, CheckpointProblem> {
    let (values, root) = run(pickle, &mut StateDictVocabulary, LIMITS)
        .map_err(|refusal| CheckpointProblem::Pickle(PickleProblem::from(refusal)))?;
    let mut wrappers = Vec::new();
    let mut beside = Vec::new();
    let mut entries = dict_entries(&values, root)?;
    loop {
        let under = |keys: &[&str]| -> Vec<(&str, Id)> {
            let is_dict = |value| matches!(values.get(value), Value::Dict(_));
            let entries = entries.iter().copied();
            entries.filter(|(key, value)| keys.contains(key) && is_dict(*value)).collect()
        };
        let mut inside = under(&WRAPPERS);
        if inside.is_empty() {
            inside = under(&EMA_WRAPPERS);
        }
        match inside.as_slice() {
            [] => break,
            &[(wrapper, value)] => {
                if wrappers.len() >= MAX_WRAPPERS {
                    return Err(problem(format!(
                        "nests `{wrapper}` more than {MAX_WRAPPERS} times; expected a dictionary \
                         of tensors"
                    )));
                }
                beside.extend(
                    entries
                        .iter()
                        .filter(|(key, _)| *key != wrapper)
                        .map(|(key, _)| sanitized_name(key)),
                );
                wrappers.push(wrapper.to_owned());
                entries = dict_entries(&values, value)?;
            }
            several => {
                return Err(CheckpointProblem::SeveralNetworks {
                    under: several.iter().map(|(key, _)| (*key).to_owned()).collect(),
                });
            }
        }
    }
    Ok(StateDict { tensors: collect(&values, &entries)?, wrappers, beside })
}

/// The entries of a dictionary, whose keys must be unique strings.
fn dict_entries<'a>(
    values: &StateDictValues<'a>,
    id: Id,
) -> Result<Vec<(&'a str, Id)>, CheckpointProblem> {
    let Value::Dict(pairs) = values.get(id) else {
        let found = match values.get(id) {
            Value::Object(Object::Tensor(_)) => "a single tensor",
            Value::List(_) | Value::Tuple(_) => "a list",
            _ => "a single value",
        };
        return Err(problem(format!(
            "holds {found}; expected a dictionary of tensors, as model.state_dict() gives"
        )));
    };
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for &(key, value) in pairs {
        let Value::Text(key) = *values.get(key) else {
            return Err(problem(
                "holds a dictionary whose keys are not strings; expected a dictionary of tensors, \
                 as model.state_dict() gives"
                    .to_owned(),
            ));
        };
        if !seen.insert(key) {
            return Err(CheckpointProblem::DuplicateName { name: sanitized_name(key) });
        }
        entries.push((key, value));
    }
    Ok(entries)
}

fn collect<'a>(
    values: &StateDictValues<'a>,
    entries: &[(&'a str, Id)],
) -> Result<Vec<(&'a str, PickledTensor<'a>)>, CheckpointProblem> {
    let mut tensors = Vec::new();
    let mut others = Vec::new();
    for &(key, value) in entries {
        match values.get(value) {
            Value::Object(Object::Tensor(tensor)) => tensors.push((key, tensor.as_ref().clone())),
            _ => others.push(key),
        }
    }
    if others.is_empty() && !tensors.is_empty() {
        return Ok(tensors);
    }
    let keys: Vec<String> =
        others.iter().take(NAMED_KEYS).map(|key| format!("`{}`", sanitized_name(key))).collect();
    let keys = keys.join(", ");
    Err(problem(if others.contains(&"param_groups") {
        "is the state of an optimizer; give the checkpoint of the network".to_owned()
    } else if tensors.is_empty() && others.is_empty() {
        "holds an empty dictionary; expected a dictionary of tensors".to_owned()
    } else if tensors.is_empty() {
        format!(
            "holds no tensor where a state dict should be, but {keys}; save the state dict of \
             the network alone"
        )
    } else {
        format!(
            "holds entries other than tensors among the tensors: {keys}; save the state dict of \
             the network alone"
        )
    }))
}

fn problem(text: String) -> CheckpointProblem {
    CheckpointProblem::Pickle(not_a_state_dict(text))
}
