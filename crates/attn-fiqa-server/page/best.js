// Which photo is best, and which of its faces.

/**
 * The better of two faces first. Quality is a whole number that ends at 0 and 100, so the score,
 * which it is mapped from, decides.
 */
function better(a, b) {
  return b.score - a.score;
}

/** The best face of a photo, or `null` where none was scored. */
export function bestFace(photo) {
  return scored(photo).sort(better)[0] ?? null;
}

/** All faces that were found in a photo. */
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
