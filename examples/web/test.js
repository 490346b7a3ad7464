// The page in a real browser, with the networks that ./setup wrote. See ./test.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PHOTO = fileURLToPath(new URL('../astronaut.png', import.meta.url));
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
};

let server = null;
let browser = null;
let url = '';

before(async () => {
  server = createServer(async (request, response) => {
    const path = join(HERE, normalize(new URL(request.url, 'http://x').pathname));
    const file = path.endsWith('/') ? `${path}index.html` : path;
    if (!(await stat(file).catch(() => null))?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  url = `http://127.0.0.1:${server.address().port}/`;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** Opens the page and waits for its networks; collects errors and outgoing requests in `wrong`. */
async function open() {
  const page = await browser.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(error.stack));
  page.on('console', (message) => {
    // The runtime also logs its warnings as errors.
    const text = message.text();
    const isHarmless = text.includes('[W:onnxruntime') && !text.includes('not used by any node');
    if (message.type() === 'error' && !isHarmless) wrong.push(text);
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    const local = origin === new URL(url).origin || protocol === 'blob:' || protocol === 'data:';
    if (!local || request.method() !== 'GET') wrong.push(`${request.method()} ${request.url()}`);
  });
  await page.goto(url);
  await page.locator('body[data-ready]').waitFor({ timeout: 120_000 });
  return { page, wrong };
}

/** The program's score and quality for the face in the photo. */
function expected() {
  const rows = execFileSync(process.env.ATTN_FIQA_BINARY, ['score', PHOTO, '--format', 'jsonl']);
  const { score, quality } = JSON.parse(rows.toString().split('\n')[0]);
  return { score, quality };
}

test('quality matches the program and nothing is uploaded', async () => {
  const { page, wrong } = await open();
  await page.locator('#file').setInputFiles(PHOTO);
  await page.locator('body[data-done]').waitFor({ timeout: 120_000 });
  const face = page.locator('#faces li');
  assert.equal(await face.count(), 1);
  const program = expected();
  const [score, quality] = await face.evaluate(({ dataset }) => [
    Number(dataset.score),
    Number(dataset.quality),
  ]);
  // Landmark differences move the crop by a fraction of a pixel: see docs/deploy.md.
  assert.ok(Math.abs(quality - program.quality) <= 2, `${quality}, not ${program.quality}`);
  assert.ok(Math.abs(score - program.score) < 0.3, `${score}, not ${program.score}`);
  assert.match(await page.locator('#status').textContent(), /^1 face in [\d.]+ s$/);
  console.log(`score ${score} and ${program.score}, ${await page.locator('#status').textContent()}`);

  // The map and the box are drawn over the face, so the canvas differs from the photo there.
  const changed = await page.evaluate(async () => {
    const bitmap = await createImageBitmap(document.getElementById('file').files[0]);
    const plain = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    plain.drawImage(bitmap, 0, 0);
    const area = [0, 0, bitmap.width, bitmap.height];
    const [before, after] = [plain, document.getElementById('photo').getContext('2d')].map(
      (context) => context.getImageData(...area).data,
    );
    let count = 0;
    for (let at = 0; at < before.length; at += 4) count += before[at] !== after[at] ? 1 : 0;
    return count / (before.length / 4);
  });
  assert.ok(changed > 0.02 && changed < 0.5, `${changed} of the pixels changed`);
  assert.deepEqual(wrong, []);
  await page.close();
});

test('camera frames without a face and non-image files are reported', async () => {
  const { page, wrong } = await open();
  await page.locator('#file').setInputFiles({
    name: 'text.png',
    mimeType: 'image/png',
    buffer: Buffer.from('no image'),
  });
  await page.getByText('text.png is not an image that this browser can read').waitFor();
  await page.locator('#camera').click();
  await page.getByText(/^0 faces in [\d.]+ s$/).waitFor({ timeout: 120_000 });
  await page.locator('#camera').click();
  assert.deepEqual(wrong, []);
  await page.close();
});
