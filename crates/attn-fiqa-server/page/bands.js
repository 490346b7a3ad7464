// The five bands of quality (docs/quality.md, "Bands").

export const BANDS = ['unusable', 'poor', 'fair', 'good', 'excellent'];

const MEANINGS = {
  unusable: 'recognised less than half of the time',
  poor: 'recognised 50 to 80\u00a0% of the time',
  fair: 'recognised 80 to 95\u00a0% of the time',
  good: 'recognised at least 95\u00a0% of the time',
  excellent: 'as good as an ordinary clean face, or better',
};

/** Prefix of calibrations anchored to match probabilities; others give ranks. */
const SCALE = 'attn-fiqa-quality-2';

/** The meaning of a band, or `null` if the calibration does not define one. */
export function bandMeaning(band, model) {
  return model?.calibration?.startsWith(SCALE) ? (MEANINGS[band] ?? null) : null;
}

/** Quality from 0 to 100, or `null` if the face has none (a model without a calibration). */
export function qualityOf(face) {
  return typeof face.quality === 'number' && face.quality >= 0 ? face.quality : null;
}

/** A face's quality and band in words: "quality 87, excellent". */
export function spoken(face) {
  const quality = qualityOf(face);
  if (quality === null) return `score ${decimal(face.score, 2)}, quality unknown`;
  const band = face.band ? `, ${face.band}` : '';
  return `quality ${Math.round(quality)}${band}`;
}

/** A number with fixed decimals and a true minus sign; a dash for none. */
export function decimal(value, digits) {
  if (typeof value !== 'number') return '–';
  // Values that round to zero have no sign.
  return value
    .toFixed(digits)
    .replace(/^-(?=0(\.0*)?$)/, '')
    .replace('-', '−');
}
