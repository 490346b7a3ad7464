// Computes the quality of the faces in a photo with onnxruntime-web, in a page or in Node.

import { TEMPLATE, inverse, similarity, warp } from './align.js';
import { findFaces } from './faces.js';

/** Side of the crop that the score network reads, in pixels. */
export const CROP = 112;

/** The names of the networks, each `NETWORK.onnx` as `attn-fiqa model export` writes it. */
export const NETWORKS = ['detector', 'landmarks', 'score'];

/**
 * Opens a scorer. `faces(image)` takes `{ data, width, height }`, four bytes per pixel, and returns
 * `{ box, landmarks, confidence, score, quality, map, causes, fromCrop }` per face, in its pixels.
 *
 * `ort` is onnxruntime-web, `read(network)` resolves to the bytes of a file, and `causes` are the
 * names in the order of the file's metadata.
 */
export async function openScorer(ort, read, causes) {
  const sessions = {};
  for (const network of NETWORKS) {
    sessions[network] = await ort.InferenceSession.create(await read(network), {
      executionProviders: ['wasm'],
    });
  }
  const run = async (network, planes, [height, width]) => {
    const shape = [planes.length / (3 * height * width), 3, height, width];
    const outputs = await sessions[network].run({ image: new ort.Tensor('float32', planes, shape) });
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
  };
  const score = (crop) => run('score', crop, [CROP, CROP]);
  return {
    score,
    async faces(image) {
      const found = await findFaces(image, run);
      for (const face of found) {
        const toCrop = similarity(face.landmarks, TEMPLATE);
        const outputs = await score(warp(image, toCrop, CROP));
        const [quality] = outputs.quality;
        face.score = outputs.score[0];
        face.quality = quality;
        face.map = outputs.map;
        face.fromCrop = inverse(toCrop);
        face.causes = causes
          .map((name, index) => ({ name, strength: outputs.causes[index] }))
          .filter(({ strength }) => strength > 0)
          .sort((one, other) => other.strength - one.strength);
      }
      return found;
    },
  };
}

/** The names of the causes from the metadata at the end of an exported score. */
export function causesOf(bytes) {
  const end = bytes.subarray(-(1 << 14));
  const key = 'attn_fiqa.causes';
  const start = new TextDecoder('latin1').decode(end).lastIndexOf(key);
  if (start < 0) return [];
  // A field's tag, its length with seven bits per byte, and the text.
  let at = start + key.length + 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    length |= (end[at] & 0x7f) << shift;
    at += 1;
    if (end[at - 1] < 0x80) break;
  }
  return new TextDecoder().decode(end.subarray(at, at + length)).split(',');
}
