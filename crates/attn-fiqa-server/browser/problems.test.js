// Every problem is reported in words that say what to do.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  ASTRONAUT,
  card,
  choose,
  repositoryFile,
  settled,
  startBrowser,
  startService,
  withPage,
} from './harness.js';
import { gradientPng } from './images.js';

let service;
let browser;

before(async () => {
  [service, browser] = await Promise.all([startService(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const problem = (page, name) => card(page, name).locator('.problem');

test('a photo without a face is reported', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, { name: 'sky.png', mimeType: 'image/png', buffer: gradientPng(320, 240) });
    assert.match(
      await problem(page, 'sky.png').textContent(),
      /^No face found.*face is large enough/,
    );
    assert.match(
      await page.locator('#summary').textContent(),
      /1 photo, 0 faces\. sky\.png: No face found\./,
    );
    assert.ok(await card(page, 'sky.png').locator('img').isVisible());
    assert.equal(await page.locator('.box').count(), 0);
  });
});

test('a damaged file is reported and the others are scored', async () => {
  const whole = await readFile(ASTRONAUT);
  await withPage(browser, service.url, async (page) => {
    await choose(
      page,
      { name: 'half.png', mimeType: 'image/png', buffer: whole.subarray(0, whole.length / 2) },
      ASTRONAUT,
    );
    assert.match(
      await problem(page, 'half.png').textContent(),
      /^This file is damaged.*copy or download it again/i,
    );
    assert.equal(await card(page, 'astronaut.png').locator('.face').count(), 1);
    assert.equal(await page.locator('#faces tbody tr').count(), 2);
  });
});

test('a non-image is rejected by type or by content', async () => {
  await withPage(browser, service.url, async (page) => {
    const scored = [];
    page.on('request', (request) => scored.push(request.url()));
    await choose(page, repositoryFile('README.md'));
    assert.match(await problem(page, 'README.md').textContent(), /^This is not a photo/);
    assert.equal(scored.filter((url) => url.includes('/v1/score')).length, 0);
    await choose(page, {
      name: 'text.jpg',
      mimeType: 'image/jpeg',
      buffer: Buffer.from('only a text'),
    });
    assert.match(await problem(page, 'text.jpg').textContent(), /^This is not a photo/);
  });
});

test('415 and 413 responses are explained', async () => {
  await withPage(browser, service.url, async (page) => {
    for (const [status, title] of [
      [415, 'This kind of image cannot be read'],
      [413, 'This photo is too large'],
    ]) {
      await page.route(
        '**/v1/score*',
        (route) =>
          route.fulfill({
            status,
            json: {
              error: { status, code: 'x', message: 'the body has 9 bytes: send at most 4' },
              request_id: 'r1',
            },
          }),
        { times: 1 },
      );
      await choose(page, ASTRONAUT);
      const text = await problem(page, 'astronaut.png').textContent();
      assert.ok(text.startsWith(title), text);
      assert.ok(text.includes('The body has 9 bytes: send at most 4. Request r1.'), text);
      await page.getByRole('button', { name: 'Clear all' }).click();
    }
  });
});

test('a busy service is retried after its Retry-After time', async () => {
  await withPage(browser, service.url, async (page) => {
    const asked = [];
    await page.route('**/v1/score*', (route) => {
      asked.push(Date.now());
      if (asked.length > 2) return route.continue();
      return route.fulfill({
        status: 429,
        headers: { 'retry-after': '1' },
        json: { error: { message: 'busy' } },
      });
    });
    await page.setInputFiles('#files', ASTRONAUT);
    const progress = card(page, 'astronaut.png').locator('.progress');
    await progress.getByText('The service is busy. Trying again in 1 s (1 of 5)').waitFor();
    await progress.getByText('The service is busy. Trying again in 1 s (2 of 5)').waitFor();
    await settled(page);
    assert.equal(await page.locator('.face').count(), 1);
    assert.ok(asked.length >= 3);
    for (const pause of [asked[1] - asked[0], asked[2] - asked[1]])
      assert.ok(pause >= 990, `${pause} ms`);
  });
});

test('photos refused by a full queue are eventually scored', async () => {
  const small = await startService('--max-queue', '1');
  try {
    await withPage(browser, small.url, async (page) => {
      let refused = 0;
      page.on('response', (response) => {
        refused += response.status() === 429;
      });
      const files = Array.from({ length: 8 }, () => ASTRONAUT);
      await choose(page, ...files);
      assert.equal(await page.locator('.face').count(), files.length);
      assert.ok(refused > 0, 'the queue was never full');
    });
  } finally {
    await small.stop();
  }
});

test('a photo over the body limit is reported', async () => {
  const small = await startService('--max-body', '100K');
  try {
    await withPage(browser, small.url, async (page) => {
      // Refused at once, although the browser keeps sending.
      for (const size of [2e5, 5e6]) {
        const name = `${size}.png`;
        await choose(page, { name, mimeType: 'image/png', buffer: Buffer.alloc(size) });
        assert.match(await problem(page, name).textContent(), /^This photo is too large/);
      }
      await choose(page, repositoryFile('examples/faces/blur-3.png'));
      assert.equal(await page.locator('.face').count(), 1);
    });
  } finally {
    await small.stop();
  }
});

test('a busy service is retried five times, then only on request', async () => {
  await withPage(browser, service.url, async (page) => {
    let asked = 0;
    let busy = true;
    await page.route('**/v1/score*', (route) => {
      asked += 1;
      if (!busy) return route.continue();
      return route.fulfill({
        status: 429,
        headers: { 'retry-after': '0' },
        json: { error: { message: 'the queue is full' } },
      });
    });
    await choose(page, ASTRONAUT);
    assert.equal(asked, 6);
    assert.match(
      await problem(page, 'astronaut.png').textContent(),
      /^The service is too busy.*The queue is full\./,
    );
    busy = false;
    await page.getByRole('button', { name: 'Try again: astronaut.png' }).click();
    await page.locator('.face').waitFor();
  });
});

test('a long Retry-After is not retried automatically', async () => {
  await withPage(browser, service.url, async (page) => {
    let asked = 0;
    await page.route('**/v1/score*', (route) => {
      asked += 1;
      return route.fulfill({ status: 429, headers: { 'retry-after': '3600' }, json: {} });
    });
    await choose(page, ASTRONAUT);
    assert.equal(asked, 1);
    assert.match(await problem(page, 'astronaut.png').textContent(), /^The service is too busy/);
  });
});

test('a required API key is requested, checked and used for all photos', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'attn-fiqa-page-'));
  const file = join(folder, 'key');
  await writeFile(file, 'correct-horse-battery-staple\n', { mode: 0o600 });
  const guarded = await startService('--api-key-file', file);
  try {
    await withPage(browser, guarded.url, async (page) => {
      assert.ok(await page.locator('#key-form').isHidden());
      let sent = 0;
      page.on('request', (request) => {
        sent += request.url().includes('/v1/score');
      });
      const faces = ['blur-3', 'blur-4', 'noise-1', 'dark-1'].map((name) =>
        repositoryFile(`examples/faces/${name}.png`),
      );
      await choose(page, ASTRONAUT, ...faces);
      assert.match(await problem(page, 'astronaut.png').textContent(), /^Waiting for an API key/);
      // Only those that were in progress.
      assert.equal(sent, 2);
      const field = page.getByLabel('API key', { exact: true });
      assert.ok(await field.evaluate((input) => input === document.activeElement));
      await field.fill('wrong');
      await field.press('Enter');
      await page.getByText('The service did not accept this key.').waitFor();
      assert.equal(await field.inputValue(), '');
      await field.fill('correct-horse-battery-staple');
      await page.getByRole('button', { name: 'Use this key' }).click();
      await page.waitForFunction(() => document.querySelectorAll('.face').length === 5);
      assert.ok(await page.locator('#key-form').isHidden());
      // Kept for later photos, but not stored on disk.
      await choose(page, ASTRONAUT);
      assert.equal(await page.locator('.face').count(), 6);
      assert.deepEqual(
        await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]),
        [0, 0, ''],
      );
    });
  } finally {
    await guarded.stop();
    await rm(folder, { recursive: true });
  }
});

test('a late 401 for an older key is ignored', async () => {
  await withPage(browser, service.url, async (page) => {
    const held = [];
    await page.route('**/v1/score*', (route) => {
      if (route.request().headers()['x-api-key'] === 'new') return route.continue();
      const refuse = () => route.fulfill({ status: 401, json: { error: { message: 'no key' } } });
      held.push(refuse);
      return held.length === 1 ? refuse() : undefined;
    });
    await page.setInputFiles('#files', [ASTRONAUT, repositoryFile('examples/faces/blur-3.png')]);
    await page.getByLabel('API key', { exact: true }).fill('new');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('.face').length === 1);
    await held[1]();
    await settled(page);
    assert.equal(await page.locator('.face').count(), 2);
    assert.ok(await page.locator('#key-form').isHidden());
  });
});

test('an unreachable service is reported', async () => {
  const short = await startService();
  await withPage(browser, short.url, async (page) => {
    await choose(page, ASTRONAUT);
    await short.stop();
    await choose(page, repositoryFile('examples/faces/blur-3.png'));
    assert.match(await problem(page, 'blur-3.png').textContent(), /^The service cannot be reached/);
    assert.ok(await page.getByRole('button', { name: 'Try again: blur-3.png' }).isVisible());
    assert.equal(await card(page, 'astronaut.png').locator('.face').count(), 1);
  });
});

test('a dropped connection is retried, then reported', async () => {
  await withPage(browser, service.url, async (page) => {
    let asked = 0;
    await page.route('**/v1/score*', (route) => {
      asked += 1;
      return route.abort('connectionreset');
    });
    await choose(page, ASTRONAUT);
    assert.equal(asked, 3);
    assert.match(
      await problem(page, 'astronaut.png').textContent(),
      /^The service stopped receiving this photo.*too large/,
    );
  });
});

test('a non-JSON error response is reported', async () => {
  await withPage(browser, service.url, async (page) => {
    await page.route('**/v1/score*', (route) =>
      route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }),
    );
    await choose(page, ASTRONAUT);
    assert.match(
      await problem(page, 'astronaut.png').textContent(),
      /^The service failed on this photo/,
    );
  });
});
