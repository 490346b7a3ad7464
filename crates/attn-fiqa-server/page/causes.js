// Why a face has its quality and what to do about it, if the service reports causes.

/** What is wrong and what to do, in the words of the library (docs/reasons.md). */
export const CAUSES = {
  blur: ['out of focus', 'focus on the face and clean the lens'],
  low_resolution: ['too few pixels', 'move closer or use more pixels'],
  compression: ['compressed too much', 'use a higher JPEG quality, or the original file'],
  noise: ['noisy', 'add light or lower the ISO setting'],
  too_dark: ['too dark', 'light the face from the front'],
  too_bright: ['too bright', 'lower the exposure or soften the light'],
  low_contrast: ['too little contrast', 'light the face evenly and avoid haze, glare and filters'],
  occlusion: ['part of the face is covered', 'remove what covers the face'],
  motion: ['blurred by motion', 'hold the camera and the head still, or add light'],
  rotation: ['face cropped at an angle', 'align the face again by its landmarks'],
  shift: ['face cropped off centre', 'align the face again by its landmarks'],
  pose: ['head turned away', 'look straight into the camera'],
};

/** Maximum number of causes listed per face, and the minimum points that each costs. */
const MAX_CAUSES = 3;
const MIN_POINTS = 2;

/**
 * What costs a face the most quality, such as "too dark (29 points)", or `null` if nothing
 * costs much. A cause's points are what the image would gain if only this cause were removed.
 */
export function costs(face) {
  const causes = Array.isArray(face.causes) ? face.causes : [];
  const words = [...causes]
    .sort((a, b) => b.gain - a.gain)
    .filter(({ gain }) => gain >= MIN_POINTS)
    .slice(0, MAX_CAUSES)
    .map(({ cause, gain }) => `${description(cause)} (${Math.round(gain)} points)`);
  return words.length > 0 ? words.join(', ') : null;
}

/** The main cause in words, or `null` if nothing costs quality. */
export function mainCause(face) {
  return face.main_cause ? description(face.main_cause) : null;
}

/** What to do about the main cause, or `null`. */
export function advice(face) {
  return CAUSES[face.main_cause]?.[1] ?? null;
}

/** The weak regions of a face in words, weakest first, or `null` if there are none. */
export function weakRegions(face) {
  const regions = Array.isArray(face.weak_regions) ? face.weak_regions : [];
  return regions.length > 0 ? regions.map(readable).join(', ') : null;
}

function description(cause) {
  return CAUSES[cause]?.[0] ?? readable(cause);
}

function readable(name) {
  return name.replaceAll('_', ' ');
}
