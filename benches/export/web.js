// Runs an exported score network in onnxruntime-web with WebAssembly, on one thread:
// node web.js FILE.onnx PLANES BATCH CHANNELS HEIGHT WIDTH OUTPUT.json

import { readFile, writeFile } from 'node:fs/promises';

const here = new URL('../../examples/web/', import.meta.url);
const dist = new URL('node_modules/onnxruntime-web/dist/', here);
const ort = await import(new URL('ort.wasm.min.mjs', dist));
ort.env.wasm.wasmPaths = dist.href;
ort.env.wasm.numThreads = 1;

const [network, planes, ...rest] = process.argv.slice(2);
const shape = rest.slice(0, 4).map(Number);
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(network)));
const bytes = await readFile(planes);
const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const outputs = await session.run({ image: new ort.Tensor('float32', values, shape) });
const found = {};
for (const [name, { data, dims }] of Object.entries(outputs)) found[name] = { data: [...data], dims };
const image = new ort.Tensor('float32', values.slice(0, values.length / shape[0]), [1, ...shape.slice(1)]);
const times = [];
for (let turn = 0; turn < 4; turn += 1) {
  const started = performance.now();
  await session.run({ image });
  times.push((performance.now() - started) / 1000);
}
found.seconds = times.sort((one, other) => one - other)[2];
await writeFile(rest[4], JSON.stringify(found));
