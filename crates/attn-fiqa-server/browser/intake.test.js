// Every way to add photos.

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
let folder;

before(async () => {
  // The fake camera plays the same photo in a loop.
  folder = await mkdtemp(join(tmpdir(), 'attn-fiqa-page-'));
  const film = join(folder, 'camera.mjpeg');
  const frame = await readFile(repositoryFile('crates/attn-fiqa-server/page/example.jpg'));
  await writeFile(film, Buffer.concat(Array(10).fill(frame)));
  [service, browser] = await Promise.all([
    startService(),
    startBrowser(
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      `--use-file-for-fake-video-capture=${film}`,
    ),
  ]);
});

after(async () => {
  await browser?.close();
  await service?.stop();
  await rm(folder, { recursive: true });
});

async function assertAstronaut(page, name) {
  const face = card(page, name).locator('.face');
  assert.equal(await face.count(), 1);
  const quality = Number(await face.locator('.figure b').textContent());
  assert.ok(quality >= 80 && quality <= 100, `quality ${quality}`);
  assert.equal(await face.locator('.band').textContent(), 'excellent');
  assert.match(
    await card(page, name).locator('.box .label').textContent(),
    new RegExp(`^1${quality} excellent$`),
  );
}

test('a chosen photo is scored', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ASTRONAUT);
    await assertAstronaut(page, 'astronaut.png');
    assert.match(
      await page.locator('#summary').textContent(),
      /^1 photo, 1 face\. Quality \d+, excellent\.$/,
    );
  });
});

test('a photo that is dropped anywhere is scored', async () => {
  const bytes = (await readFile(ASTRONAUT)).toString('base64');
  await withPage(browser, service.url, async (page) => {
    const transfer = await page.evaluateHandle((base64) => {
      const made = new DataTransfer();
      const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      made.items.add(new File([data], 'dropped.png', { type: 'image/png' }));
      return made;
    }, bytes);
    const footer = page.locator('footer');
    await footer.dispatchEvent('dragenter', { dataTransfer: transfer });
    assert.ok(await page.locator('#drop-cover').isVisible());
    await footer.dispatchEvent('drop', { dataTransfer: transfer });
    assert.ok(await page.locator('#drop-cover').isHidden());
    await settled(page);
    await assertAstronaut(page, 'dropped.png');
  });
});

test('dropping a link shows advice', async () => {
  await withPage(browser, service.url, async (page) => {
    const transfer = await page.evaluateHandle(() => {
      const made = new DataTransfer();
      made.setData('text/uri-list', 'https://example.com/photo.jpg');
      return made;
    });
    await page.locator('main').dispatchEvent('drop', { dataTransfer: transfer });
    assert.match(await page.getByRole('alert').textContent(), /a link or text, not a file/);
    assert.equal(await page.locator('.card').count(), 0);
  });
});

test('a pasted photo is scored', async () => {
  const bytes = (await readFile(ASTRONAUT)).toString('base64');
  await withPage(
    browser,
    service.url,
    async (page) => {
      await page.evaluate(async (base64) => {
        const data = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        await navigator.clipboard.write([
          new ClipboardItem({ 'image/png': new Blob([data], { type: 'image/png' }) }),
        ]);
      }, bytes);
      await page.keyboard.press('Control+V');
      await settled(page);
      await assertAstronaut(page, 'pasted.png');
    },
    { permissions: ['clipboard-read', 'clipboard-write'] },
  );
});

test('pasting text shows advice', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      await page.evaluate(() => navigator.clipboard.writeText('no photo'));
      await page.keyboard.press('Control+V');
      await page.getByText('The clipboard contains no photo').waitFor();
      // The message disappears with the next photo.
      await choose(page, ASTRONAUT);
      assert.ok(await page.locator('#add-problem').isHidden());
    },
    { permissions: ['clipboard-read', 'clipboard-write'] },
  );
});

test('camera photos are scored unmirrored', async () => {
  await withPage(browser, service.url, async (page) => {
    await page.getByRole('button', { name: 'Use the camera' }).click();
    const dialog = page.getByRole('dialog', { name: 'Take photos' });
    const shoot = dialog.getByRole('button', { name: 'Take a photo' });
    await page.waitForFunction(() => !document.querySelector('#camera-shoot').disabled);
    await shoot.click();
    await dialog.getByText('1 photo taken').waitFor();
    await shoot.click();
    await dialog.getByText('2 photos taken').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    // The camera is released.
    await page.waitForFunction(() => document.querySelector('#camera-video').srcObject === null);
    await settled(page);
    await assertAstronaut(page, 'camera.png');
    await assertAstronaut(page, 'camera 2.png');
    // The preview is mirrored, the photo is not: the face in this portrait is left of the centre.
    const left = await card(page, 'camera.png')
      .locator('.box')
      .evaluate((box) => parseFloat(box.style.left));
    assert.ok(left > 25 && left < 45, `box at ${left} %`);
  });
});

test('another camera can be selected', async () => {
  const other = await startBrowser(
    '--use-fake-device-for-media-stream=device-count=2',
    '--use-fake-ui-for-media-stream',
  );
  try {
    await withPage(other, service.url, async (page) => {
      await page.getByRole('button', { name: 'Use the camera' }).click();
      const camera = page.getByLabel('Camera', { exact: true });
      await camera.waitFor();
      const used = () =>
        page.evaluate(
          () =>
            document.querySelector('#camera-video').srcObject.getVideoTracks()[0].getSettings()
              .deviceId,
        );
      const first = await used();
      assert.equal(await camera.inputValue(), first);
      await camera.selectOption({ index: 1 });
      await page.waitForFunction(() => !document.querySelector('#camera-shoot').disabled);
      assert.equal(await used(), await camera.inputValue());
      assert.notEqual(await used(), first);
    });
  } finally {
    await other.close();
  }
});

test('a denied camera permission shows advice', async () => {
  await withPage(browser, service.url, async (page) => {
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () =>
        Promise.reject(new DOMException('no', 'NotAllowedError'));
    });
    await page.getByRole('button', { name: 'Use the camera' }).click();
    await page.getByText('does not allow this page to use the camera').waitFor();
    assert.ok(await page.locator('#camera-shoot').isDisabled());
    await page.keyboard.press('Escape');
    assert.ok(await page.locator('#camera').isHidden());
  });
});

test('the file chooser opens if mediaDevices is missing', async () => {
  await withPage(browser, service.url, async (page) => {
    await page.evaluate(() =>
      Object.defineProperty(navigator, 'mediaDevices', { value: undefined }),
    );
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: 'Use the camera' }).click(),
    ]);
    await chooser.setFiles(ASTRONAUT);
    await settled(page);
    await assertAstronaut(page, 'astronaut.png');
  });
});

test('the example photos are scored and the best is marked', async () => {
  await withPage(browser, service.url, async (page) => {
    await page.getByRole('button', { name: 'Try an example' }).click();
    await settled(page);
    assert.equal(await page.locator('.card').count(), 3);
    assert.equal(await card(page, 'example.jpg').locator('.badge').textContent(), 'Best of 3');
  });
});

test('photos beyond the limit are left out with a message', async () => {
  await withPage(browser, service.url, async (page) => {
    // Never answered.
    await page.route('**/v1/score*', () => {});
    const buffer = gradientPng(8, 8);
    const files = Array.from({ length: 203 }, (_, n) => ({
      name: `${n}.png`,
      mimeType: 'image/png',
      buffer,
    }));
    await page.setInputFiles('#files', files);
    assert.equal(await page.locator('.card').count(), 200);
    assert.match(
      await page.locator('#add-problem').textContent(),
      /at most 200 photos: 3 were left out/,
    );
  });
});
