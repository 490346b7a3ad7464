// Finds the best photo and its best face.

/**
 * Sorts the better face first. Compares scores, because quality is rounded to a whole number and
 * limited to 0 and 100.
 */
function better(a, b) {
  return b.score - a.score;
}

/** The best face of a photo, or `null` if none was scored. */
export function bestFace(photo) {
  return scored(photo).sort(better)[0] ?? null;
}

/** All faces found in a photo. */
export function facesOf(photo) {
  return photo.result?.faces ?? [];
}

/** The faces of a photo that have a score. */
export function scored(photo) {
  return facesOf(photo).filter((face) => typeof face.score === 'number');
}

/** Photos with a scored face, the one with the best face first. */
export function ranked(photos) {
  return photos.filter(bestFace).sort((a, b) => better(bestFace(a), bestFace(b)));
}
