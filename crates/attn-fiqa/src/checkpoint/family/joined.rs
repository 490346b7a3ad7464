//! Stored tensors under canonical names: renamed, transposed, or joined from parts.

use std::collections::BTreeMap;

use super::names::{Role, family};
use super::{Family, Naming};
use crate::checkpoint::diagnostics::{LayoutMismatch, ShapeMismatch};
use crate::checkpoint::error::CheckpointProblem;
use crate::checkpoint::names::block_index;
use crate::checkpoint::tensor::{JoinedTensor, TensorRef};
use crate::sanitize::sanitized_name;

/// Unused tensors are listed by name only up to this many of a kind.
const NAMED_UNUSED: usize = 3;

/// A file's tensors under canonical names.
#[derive(Debug)]
pub(in crate::checkpoint) struct Canonical {
    pub(in crate::checkpoint) family: Family,
    /// The stored name that the family was recognised by.
    pub(in crate::checkpoint) evidence: &'static str,
    pub(in crate::checkpoint) tensors: BTreeMap<String, JoinedTensor>,
    /// Known tensors that nothing needs: by name or, if there are many, by the component they
    /// belong to.
    pub(in crate::checkpoint) unused: Vec<String>,
    naming: Naming,
    /// The stored name of each canonical name; for a joined tensor, that of its first part.
    stored: BTreeMap<String, String>,
}

/// Gives `inside`, the tensors under the prefix, their canonical names. Unknown names stay as they
/// are, so that they are later refused as unexpected.
///
/// `declared` is the family declared by a canonical file.
pub(in crate::checkpoint) fn canonical(
    naming: Naming,
    tower: &str,
    declared: Option<Family>,
    inside: BTreeMap<String, TensorRef>,
) -> Result<Canonical, CheckpointProblem> {
    let (family, evidence) = match declared {
        Some(family) => (family, ""),
        None => family(naming, inside.keys().map(String::as_str)),
    };
    let mut collected = Collected::new(naming);
    for (name, tensor) in inside {
        let role = match name.strip_prefix(tower) {
            Some(within) => naming
                .role(within)
                .or_else(|| if tower.is_empty() { naming.role_beside(within) } else { None }),
            None => naming.role_beside(&name),
        };
        collected.add(tower, name, tensor, role)?;
    }
    collected.join(family, evidence)
}

/// Parts of one tensor by their position, with their stored names.
type Parts = Vec<Option<(String, TensorRef)>>;

struct Collected {
    naming: Naming,
    parts: BTreeMap<String, (Parts, &'static [&'static str])>,
    stored: BTreeMap<String, String>,
    unused: BTreeMap<String, Vec<String>>,
}

impl Collected {
    fn new(naming: Naming) -> Self {
        Self { naming, parts: BTreeMap::new(), stored: BTreeMap::new(), unused: BTreeMap::new() }
    }

    fn add(
        &mut self,
        tower: &str,
        name: String,
        tensor: TensorRef,
        role: Option<Role>,
    ) -> Result<(), CheckpointProblem> {
        let (canonical, index, group, tensor) = match role {
            Some(Role::Unused) => {
                let kind = name.strip_prefix(tower).unwrap_or(&name);
                let kind = kind.split('.').next().unwrap_or_default().to_owned();
                self.unused.entry(kind).or_default().push(name);
                return Ok(());
            }
            None => (name.clone(), 0, &[""][..], tensor),
            Some(Role::Whole(canonical)) => {
                let tensor = if self.naming == Naming::Canonical {
                    tensor
                } else {
                    with_leading_dims(&canonical, tensor)
                };
                (canonical, 0, &[""][..], tensor)
            }
            Some(Role::Transposed(canonical)) => (canonical, 0, &[""][..], tensor.transposed()),
            Some(Role::Part { of, index, group }) => (of, index, group, tensor),
        };
        let (parts, of_group) =
            self.parts.entry(canonical.clone()).or_insert((vec![None; group.len()], group));
        // The same tensor under two spellings.
        if *of_group != group || parts.get(index).is_none_or(Option::is_some) {
            return Err(CheckpointProblem::DuplicateName { name: sanitized_name(&name) });
        }
        parts[index] = Some((name.clone(), tensor));
        self.stored.entry(canonical).or_insert(name);
        Ok(())
    }

    fn join(self, family: Family, evidence: &'static str) -> Result<Canonical, CheckpointProblem> {
        let mut mismatch = LayoutMismatch::default();
        let mut tensors = BTreeMap::new();
        for (canonical, (parts, group)) in self.parts {
            let present: Vec<&(String, TensorRef)> = parts.iter().flatten().collect();
            if present.len() < parts.len() {
                let Some((sibling, _)) = present.first() else { continue };
                let own = parts.iter().position(Option::is_some).unwrap_or_default();
                let absent = parts.iter().enumerate().filter(|(_, part)| part.is_none());
                mismatch.missing.extend(
                    absent.map(|(index, _)| {
                        sanitized_name(&sibling.replace(group[own], group[index]))
                    }),
                );
                continue;
            }
            let parts: Vec<(String, TensorRef)> = parts.into_iter().flatten().collect();
            match JoinedTensor::of_rows(parts.iter().map(|(_, tensor)| tensor.clone()).collect()) {
                Some(joined) => {
                    tensors.insert(canonical, joined);
                }
                None => {
                    let of_first = parts.first().map(|(_, tensor)| tensor.shape.clone());
                    mismatch.shape_mismatches.extend(parts.into_iter().skip(1).map(
                        |(name, tensor)| ShapeMismatch {
                            tensor: sanitized_name(&name),
                            expected: format!("{:?}", of_first.clone().unwrap_or_default()),
                            found: tensor.shape,
                        },
                    ));
                }
            }
        }
        if mismatch != LayoutMismatch::default() {
            mismatch.read_as = Some(family);
            return Err(CheckpointProblem::Layout(Box::new(mismatch)));
        }
        let unused = self.unused.into_iter().flat_map(|(kind, names)| match names.len() {
            count if count > NAMED_UNUSED => {
                vec![format!("{} ({count} tensors)", sanitized_name(&kind))]
            }
            _ => names.iter().map(|name| sanitized_name(name)).collect(),
        });
        Ok(Canonical {
            family,
            evidence,
            tensors,
            unused: unused.collect(),
            naming: self.naming,
            stored: self.stored,
        })
    }
}

impl Canonical {
    /// Reports missing tensors and wrong shapes under the names in the file.
    pub(in crate::checkpoint) fn in_stored_names(
        &self,
        mut mismatch: LayoutMismatch,
    ) -> LayoutMismatch {
        let missing = mismatch.missing.iter_mut();
        let shapes = mismatch.shape_mismatches.iter_mut().map(|one| &mut one.tensor);
        for name in missing.chain(shapes) {
            *name = sanitized_name(&self.stored_name(name));
        }
        if !self.family.is_official() {
            mismatch.read_as = Some(self.family);
        }
        mismatch
    }

    /// The stored name of a tensor or, if the file lacks it, the name derived from another block.
    fn stored_name(&self, canonical: &str) -> String {
        if let Some(stored) = self.stored.get(canonical) {
            return stored.clone();
        }
        let by_example = || {
            let block = block_index(canonical)?;
            let part = part_of_block(canonical)?;
            let (_, stored) =
                self.stored.iter().find(|(name, _)| part_of_block(name) == Some(part))?;
            self.naming.in_block(stored, block)
        };
        by_example().unwrap_or_else(|| canonical.to_owned())
    }
}

/// Depending on the family, files store the class token as `[D]` or `[1, 1, D]` and positions as
/// `[N, D]` or `[1, N, D]`.
fn with_leading_dims(canonical: &str, tensor: TensorRef) -> TensorRef {
    match canonical {
        "cls_token" | "reg_token" | "pos_embed" => tensor.with_rank(3),
        _ => tensor,
    }
}

/// The part of a canonical name after the block index.
fn part_of_block(canonical: &str) -> Option<&str> {
    Some(canonical.strip_prefix("blocks.")?.split_once('.')?.1)
}
