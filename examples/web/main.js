// The page: shows the quality of the faces in a photo or camera picture. Nothing is uploaded.

import * as ort from './vendor/ort.wasm.min.mjs';
import { CROP, causesOf, openScorer } from './quality.js';

/** Longest side of a photo that is drawn and searched, in pixels. */
const MAX_IMAGE_SIDE = 4096;

const byId = (id) => document.getElementById(id);
const [canvas, status, list, video] = ['photo', 'status', 'faces', 'video'].map(byId);
let scorer = null;
let busy = false;

ort.env.wasm.wasmPaths = new URL('./vendor/', import.meta.url).href;

async function read(network) {
  const response = await fetch(`models/${network}.onnx`);
  if (!response.ok) throw new Error(`models/${network}.onnx is missing: run ./setup first`);
  return new Uint8Array(await response.arrayBuffer());
}

async function start() {
  const started = performance.now();
  const score = await read('score');
  scorer = await openScorer(ort, (n) => (n === 'score' ? score : read(n)), causesOf(score));
  document.body.dataset.ready = 'true';
  say(`Ready after ${seconds(started)}. Choose, drop or take a photo: it stays on this machine.`);
}

function say(text) {
  status.textContent = text;
}

function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(2)} s`;
}

/** Draws a bitmap or video frame and the quality of its faces. */
async function assess(picture, width, height) {
  if (!scorer || busy) return;
  busy = true;
  delete document.body.dataset.done;
  try {
    const scale = Math.min(1, MAX_IMAGE_SIDE / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const started = performance.now();
    const faces = await scorer.faces(context.getImageData(0, 0, canvas.width, canvas.height));
    say(`${faces.length} ${faces.length === 1 ? 'face' : 'faces'} in ${seconds(started)}`);
    const values = faces.flatMap((face) => Array.from(face.map));
    const range = [Math.min(...values), Math.max(...values)];
    for (const face of faces) drawMap(context, face, range);
    for (const face of faces) drawBox(context, face);
    list.replaceChildren(...faces.map(describe));
  } catch (error) {
    say(String(error.message ?? error));
  } finally {
    busy = false;
    document.body.dataset.done = 'true';
  }
}

function describe(face) {
  const item = document.createElement('li');
  item.dataset.quality = face.quality;
  item.dataset.score = face.score;
  const causes = face.causes.map(({ name }) => name.replaceAll('_', ' ')).join(', ');
  item.textContent = `quality ${face.quality}${causes ? `: ${causes}` : ''}`;
  return item;
}

function drawBox(context, face) {
  const [left, top, right, bottom] = face.box;
  const size = Math.max(12, canvas.width / 40);
  context.lineWidth = Math.max(2, canvas.width / 400);
  context.strokeStyle = context.fillStyle = face.quality < 40 ? '#d33' : '#2a2';
  context.strokeRect(left, top, right - left, bottom - top);
  context.font = `${size}px sans-serif`;
  context.fillText(face.quality, left, Math.max(size, top - size / 4));
}

/** Draws the attention of each patch over the face, from transparent to yellow over one range. */
function drawMap(context, face, [low, high]) {
  const side = Math.sqrt(face.map.length);
  const small = new OffscreenCanvas(side, side);
  const pixels = new ImageData(side, side);
  face.map.forEach((value, place) => {
    const part = high > low ? (value - low) / (high - low) : 0.5;
    pixels.data.set([255, 220 * part, 0, 150 * part], 4 * place);
  });
  small.getContext('2d').putImageData(pixels, 0, 0);
  const { a, b, x, y } = face.fromCrop;
  // Pixel centres of the crop have integer coordinates; the canvas counts from edges.
  context.save();
  context.translate(0.5, 0.5);
  context.transform(a, b, -b, a, x, y);
  context.drawImage(small, -0.5, -0.5, CROP, CROP);
  context.restore();
}

async function open(file) {
  try {
    const bitmap = await createImageBitmap(file);
    await assess(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
  } catch {
    say(`${file.name} is not an image that this browser can read`);
  }
}

byId('file').onchange = (event) => event.target.files[0] && open(event.target.files[0]);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
};

byId('camera').onclick = async () => {
  if (video.srcObject) {
    for (const track of video.srcObject.getTracks()) track.stop();
    video.srcObject = null;
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true, audio: false });
    await video.play();
    while (video.srcObject) {
      await assess(video, video.videoWidth, video.videoHeight);
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`);
  }
};

start().catch((error) => say(String(error.message ?? error)));
