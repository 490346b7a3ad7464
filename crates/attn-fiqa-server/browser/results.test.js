// What the page shows of the answers, and what users can do with it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { CAUSES } from '../page/causes.js';
import { fromCrop } from '../page/map.js';
import {
  ASTRONAUT,
  card,
  choose,
  program,
  repositoryFile,
  startBrowser,
  startService,
  withPage,
} from './harness.js';
import { greyPpm, withOrientation } from './images.js';

const FACES = ['astronaut.png', 'blur-4.png', 'noise-3.png', 'dark-3.png'].map((name) =>
  repositoryFile(`examples/faces/${name}`),
);
const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] };

let service;
let browser;

before(async () => {
  [service, browser] = await Promise.all([startService(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

const qualities = (page) => page.locator('#faces tbody tr td:nth-child(3)').allTextContents();

const names = (page) => page.locator('#faces tbody th').allTextContents();

/** The answer with a score: columns that the model lacks are refused, and requested only once. */
const scoreOf = (page) =>
  page.waitForResponse((response) => response.url().includes('/v1/score') && response.ok());

test('the best of several photos is marked, and sorted first on request', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, FACES[2], FACES[0], FACES[1]);
    const best = page.locator('.card.best');
    assert.equal(await best.count(), 1);
    assert.equal(await best.getByRole('heading').textContent(), 'astronaut.png');
    assert.equal(await best.locator('.badge').textContent(), 'Best of 3');
    assert.match(
      await page.locator('#summary').textContent(),
      /^3 photos, 3 faces\. Best: astronaut\.png, quality \d+, /,
    );
    const order = () => page.locator('.card h3').allTextContents();
    assert.deepEqual(await order(), ['noise-3.png', 'astronaut.png', 'blur-4.png']);
    await page.getByLabel('Best photo first').check();
    assert.equal((await order())[0], 'astronaut.png');
    await page.getByLabel('Best photo first').uncheck();
    assert.deepEqual(await order(), ['noise-3.png', 'astronaut.png', 'blur-4.png']);
  });
});

test('duplicate photos tie and get unique names', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ASTRONAUT);
    assert.ok(await page.locator('.badge').isHidden());
    await choose(page, ASTRONAUT);
    assert.deepEqual(await page.locator('.badge').allTextContents(), [
      'Equally good',
      'Equally good',
    ]);
    assert.deepEqual(await names(page), ['astronaut.png', 'astronaut 2.png']);
  });
});

test('the table is sorted by the clicked column', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ...FACES);
    const header = (name) => page.getByRole('columnheader', { name });
    await header('Quality').getByRole('button').click();
    assert.equal(await header('Quality').getAttribute('aria-sort'), 'descending');
    const falling = (await qualities(page)).map(Number);
    assert.equal(falling.length, FACES.length);
    assert.deepEqual(
      falling,
      [...falling].sort((a, b) => b - a),
    );
    assert.ok(falling[0] > falling.at(-1), `${falling}`);
    await header('Quality').getByRole('button').click();
    assert.equal(await header('Quality').getAttribute('aria-sort'), 'ascending');
    assert.deepEqual((await qualities(page)).map(Number), falling.toReversed());
    await header('Photo').getByRole('button').click();
    assert.equal(await header('Quality').getAttribute('aria-sort'), 'none');
    assert.deepEqual(await names(page), [
      'astronaut.png',
      'blur-4.png',
      'dark-3.png',
      'noise-3.png',
    ]);
  });
});

test('rows without a value come last in both orders', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, repositoryFile('README.md'), ...FACES.slice(0, 2));
    const quality = page.getByRole('columnheader', { name: 'Quality' }).getByRole('button');
    for (const order of ['descending', 'ascending']) {
      await quality.click();
      assert.equal((await names(page)).at(-1), 'README.md', order);
    }
  });
});

test('the results are copied as JSON', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      await choose(page, ASTRONAUT, FACES[1]);
      await page.getByRole('button', { name: 'Copy as JSON' }).click();
      await page.getByText('Copied as JSON').waitFor();
      const { model, images } = JSON.parse(
        await page.evaluate(() => navigator.clipboard.readText()),
      );
      assert.match(model.calibration, /^attn-fiqa-quality-/);
      assert.deepEqual(
        images.map((image) => image.name),
        ['astronaut.png', 'blur-4.png'],
      );
      const [image] = images;
      assert.deepEqual(
        [image.status, image.width, image.height, image.faces.length],
        ['ok', 512, 512, 1],
      );
      assert.ok(image.faces[0].quality > 80 && !('map' in image.faces[0]));
    },
    CLIPBOARD,
  );
});

test('copied CSV matches the command line', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      const answered = scoreOf(page);
      await choose(page, FACES[1], {
        name: 'a "text", of sorts.png',
        mimeType: 'image/png',
        buffer: Buffer.from('none'),
      });
      const asked = new URL((await answered).url()).searchParams.get('columns');
      const columns = asked.split(',').filter((name) => name !== 'map');
      const { stdout } = await promisify(execFile)(program(), [
        'score',
        FACES[1],
        '--format',
        'csv',
        '--columns',
        columns.join(','),
      ]);
      await page.getByRole('button', { name: 'Copy as CSV' }).click();
      await page.getByText('Copied as CSV').waitFor();
      const copied = (await page.evaluate(() => navigator.clipboard.readText())).split('\n');
      const written = stdout.split('\n');
      assert.equal(copied[0], written[0]);
      const cells = (line) =>
        line
          .split(',')
          .slice(1)
          .map((cell) => (/^-?[\d.]+$/.test(cell) ? Math.fround(Number(cell)) : cell));
      assert.deepEqual(cells(copied[1]), cells(written[1]));
      assert.match(copied[2], /^"a ""text"", of sorts\.png",,not-an-image,,-1,/);
      assert.equal(copied[3], '');
    },
    CLIPBOARD,
  );
});

test('copying works without navigator.clipboard', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      await page.evaluate(() =>
        Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }),
      );
      await choose(page, FACES[1]);
      await page.getByRole('button', { name: 'Copy as CSV' }).click();
      await page.getByText('Copied as CSV').waitFor();
      const read = await page.evaluate(() => {
        delete navigator.clipboard;
        return navigator.clipboard.readText();
      });
      assert.match(read, /^path,face,status,score,quality,.*\nblur-4\.png,0,ok,/);
    },
    CLIPBOARD,
  );
});

test('the crop transform is inverted between pixel centres', () => {
  // A turn by 30°, a scale of 0.4 and a shift.
  const [c, s] = [0.4 * Math.cos(Math.PI / 6), 0.4 * Math.sin(Math.PI / 6)];
  const [a, b, tx, d, e, ty] = [c, -s, 3.5, s, c, -20.25];
  const [m0, m1, m2, m3, m4, m5] = fromCrop([a, b, tx, d, e, ty]);
  for (const [x, y] of [
    [0, 0],
    [100, 37],
    [411.5, 902.25],
  ]) {
    const [u, v] = [a * x + b * y + tx + 0.5, d * x + e * y + ty + 0.5];
    assert.ok(Math.abs(m0 * u + m2 * v + m4 - (x + 0.5)) < 1e-9);
    assert.ok(Math.abs(m1 * u + m3 * v + m5 - (y + 0.5)) < 1e-9);
  }
  assert.equal(fromCrop([1, 2, 0, 2, 4, 0]), null);
  assert.equal(fromCrop(undefined), null);
});

/** The colour of a pixel of the page, `[red, green, blue]`, at a fraction of the frame. */
async function colourAt(page, frame, x, y) {
  const { width, height, ...corner } = await frame.boundingBox();
  const clip = {
    x: Math.round(corner.x + x * width),
    y: Math.round(corner.y + y * height),
    width: 1,
    height: 1,
  };
  const base64 = (await page.screenshot({ clip, fullPage: true })).toString('base64');
  return page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(1, 1).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }, base64);
}

test('the map covers the face with the opacity of the slider', async () => {
  await withPage(browser, service.url, async (page) => {
    const answered = scoreOf(page);
    await choose(page, ASTRONAUT);
    const [face] = (await (await answered).json()).images[0].faces;
    const frame = page.locator('.frame');
    const slider = page.getByLabel('Map opacity');
    // The left eye of the template (ArcFace) is on the left eye of the photo.
    const matrix = fromCrop(face.crop_transform);
    const [u, v] = [38.2946 + 0.5, 51.6963 + 0.5];
    const eye = [
      matrix[0] * u + matrix[2] * v + matrix[4],
      matrix[1] * u + matrix[3] * v + matrix[5],
    ];
    const off = Math.hypot(eye[0] - face.left_eye_x - 0.5, eye[1] - face.left_eye_y - 0.5);
    assert.ok(off < 0.1 * face.inter_eye_distance, `${off} pixels off`);
    // The map is brightest between the eyes; a corner of the photo has none.
    const middle = [
      (face.left_eye_x + face.right_eye_x) / 2 / 512,
      (face.left_eye_y + face.right_eye_y) / 2 / 512,
    ];
    await slider.fill('0');
    const [bare, corner] = [
      await colourAt(page, frame, ...middle),
      await colourAt(page, frame, 0.9, 0.05),
    ];
    await slider.fill('100');
    assert.equal(await page.locator('#map-value').textContent(), '100\u00a0%');
    const covered = await colourAt(page, frame, ...middle);
    assert.deepEqual(await colourAt(page, frame, 0.9, 0.05), corner);
    // The upper end of viridis has far more green than blue; skin does not.
    assert.ok(covered[1] - covered[2] > 80 && bare[1] - bare[2] < 60, `${bare} ${covered}`);
    await slider.fill('50');
    const half = await colourAt(page, frame, ...middle);
    half.forEach((channel, index) =>
      assert.ok(
        Math.abs(channel - (bare[index] + covered[index]) / 2) < 12,
        `${bare} ${half} ${covered}`,
      ),
    );
  });
});

test('EXIF orientation is applied to the photo and its box', async () => {
  await withPage(browser, service.url, async (page) => {
    // Stored rotated by 90° to the left, with the orientation that rotates it back.
    const base64 = await page.evaluate(async () => {
      const source = await createImageBitmap(await (await fetch('example.jpg')).blob());
      const canvas = new OffscreenCanvas(source.height, source.width - 100);
      const context = canvas.getContext('2d');
      context.rotate(-Math.PI / 2);
      // Only the left 412 columns, so that width and height differ.
      context.drawImage(source, -(source.width - 100), 0);
      const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
      return btoa(
        Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) =>
          String.fromCharCode(byte),
        ).join(''),
      );
    });
    const buffer = withOrientation(Buffer.from(base64, 'base64'), 6);
    await choose(page, { name: 'turned.jpg', mimeType: 'image/jpeg', buffer });
    const shown = await page
      .locator('.frame img')
      .evaluate((image) => [image.naturalWidth, image.naturalHeight]);
    assert.deepEqual(shown, [412, 512]);
    const { left, top, right, bottom } = await page.locator('.box').evaluate((box) => {
      const [outer, inner] = [
        box.parentElement.getBoundingClientRect(),
        box.getBoundingClientRect(),
      ];
      const x = (value) => ((value - outer.left) / outer.width) * 412;
      const y = (value) => ((value - outer.top) / outer.height) * 512;
      return {
        left: x(inner.left),
        right: x(inner.right),
        top: y(inner.top),
        bottom: y(inner.bottom),
      };
    });
    // Eyes and mouth of the portrait, by eye: (204, 101), (245, 104), (222, 143).
    assert.ok(left > 150 && left < 200 && right > 248 && right < 300, `${left} ${right}`);
    assert.ok(top > 40 && top < 98 && bottom > 145 && bottom < 200, `${top} ${bottom}`);
  });
});

test('an aligned crop is one face that fills the image', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, FACES[0]);
    assert.equal(await page.locator('.box.whole').count(), 1);
    assert.equal(
      await page.locator('.maps image').getAttribute('transform'),
      'matrix(1 0 0 1 0 0)',
    );
  });
});

test('a format that the browser cannot display is still scored', async () => {
  await withPage(browser, service.url, async (page) => {
    // The size of an aligned crop, which is scored without face detection.
    const buffer = greyPpm(112, 112);
    await choose(
      page,
      { name: 'typed.ppm', mimeType: 'image/x-portable-pixmap', buffer },
      { name: 'untyped.ppm', mimeType: '', buffer },
    );
    assert.equal(await page.locator('.face').count(), 2);
    await page.getByText('This browser cannot show this image format').nth(1).waitFor();
    assert.equal(
      await page
        .locator('.frame img')
        .first()
        .evaluate((image) => getComputedStyle(image).visibility),
      'hidden',
    );
    const { width, height } = await page.locator('.frame').first().boundingBox();
    assert.ok(width > 100 && Math.abs(width - height) < 1, `${width} × ${height}`);
  });
});

test('picking a face toggles its highlight', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ASTRONAUT);
    const pick = page.getByRole('button', { name: 'Face 1: show it in the photo' });
    await pick.click();
    assert.equal(await pick.getAttribute('aria-pressed'), 'true');
    assert.equal(await page.locator('.box.picked').count(), 1);
    await page.locator('.box').click();
    assert.equal(await pick.getAttribute('aria-pressed'), 'false');
    assert.equal(await page.locator('.box.picked').count(), 0);
  });
});

/** Changes every answer of the service before the page sees it. */
async function change(page, edit) {
  await page.route('**/v1/score*', async (route) => {
    if (route.request().url().includes('causes')) {
      // The built-in model may have them; tests that need some add them.
      const error = { status: 400, code: 'not-in-model', message: 'no causes' };
      await route.fulfill({ status: 400, json: { error } });
      return;
    }
    const response = await route.fetch();
    const body = await response.json();
    edit(body.images[0], body);
    await route.fulfill({ response, json: body });
  });
}

test('labels cover neither each other nor other faces, and shrink where there is no room', async () => {
  await withPage(browser, service.url, async (page) => {
    await change(page, (image) => {
      const [one] = image.faces;
      // A row of close faces, one in a corner, and one as high as the photo.
      const boxes = [
        [0, 0, 60, 512],
        [452, 0, 60, 60],
        ...Array.from({ length: 12 }, (_, n) => [90 + 30 * n, 250 + 8 * (n % 3), 22, 26]),
      ];
      image.faces = boxes.map(([box_x, box_y, box_width, box_height], face) => ({
        ...one,
        face,
        box_x,
        box_y,
        box_width,
        box_height,
      }));
    });
    await choose(page, ASTRONAUT);
    for (const width of [1280, 320]) {
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(100);
      const { frame, boxes } = await page.locator('.frame').evaluate((element) => {
        const rect = (of) => {
          const { left, top, right, bottom } = of.getBoundingClientRect();
          return { left, top, right, bottom };
        };
        return {
          frame: rect(element),
          boxes: [...element.querySelectorAll('.box')].map((box) => {
            const label = box.querySelector('.label');
            return {
              box: rect(box),
              label: rect(label),
              compact: label.classList.contains('compact'),
            };
          }),
        };
      });
      const overlap = (a, b) =>
        a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      for (const { label } of boxes) {
        assert.ok(
          label.left >= frame.left - 1 &&
            label.right <= frame.right + 1 &&
            label.top >= frame.top - 1 &&
            label.bottom <= frame.bottom + 1,
          JSON.stringify(label),
        );
      }
      boxes.forEach((one, i) =>
        boxes.forEach((other, j) => {
          if (i === j || one.compact) return;
          assert.ok(!overlap(one.label, other.box), `label ${i} on face ${j} at ${width}`);
          assert.ok(
            other.compact || !overlap(one.label, other.label),
            `label ${i} on label ${j} at ${width}`,
          );
        }),
      );
      assert.ok(boxes.some(({ compact }) => compact) && boxes.some(({ compact }) => !compact));
      const hidden = page.locator('.label.compact span').first();
      assert.ok(await hidden.isHidden());
    }
    // Picking a face shows what its small label leaves out.
    const number = await page.locator('.label.compact i').first().textContent();
    await page.locator('summary').click();
    await page.getByRole('button', { name: `Face ${number}: show it in the photo` }).click();
    assert.ok(await page.locator('.label.compact span').first().isVisible());
  });
});

test('a face without a score says why', async () => {
  await withPage(browser, service.url, async (page) => {
    await change(page, (image) => {
      const failed = {
        face: 1,
        status: 'bad-landmarks',
        score: null,
        quality: -1,
        band: null,
        message: 'the landmarks are mirrored: check their order',
      };
      image.faces.push({ ...image.faces[0], ...failed, map: null });
    });
    await choose(page, ASTRONAUT);
    assert.equal(await page.locator('.face').count(), 1);
    await page
      .getByText(
        'Face 2: The face found here cannot be aligned. The landmarks are mirrored: check their order.',
      )
      .waitFor();
    assert.deepEqual(await qualities(page), [await page.locator('.figure b').textContent(), '–']);
  });
});

test('a model without a calibration shows its score, and no band', async () => {
  await withPage(browser, service.url, async (page) => {
    await change(page, (image, body) => {
      body.model.calibration = null;
      Object.assign(image.faces[0], {
        quality: null,
        band: null,
        match_probability: null,
        score: -0.873,
      });
    });
    await choose(page, ASTRONAUT, FACES[1]);
    assert.equal(
      await page.locator('.figure').first().textContent(),
      '−0.87 score, without a quality scale',
    );
    assert.equal(await page.locator('.meaning').count(), 0);
    assert.match(await page.locator('#summary').textContent(), /score −0\.87, quality unknown/);
  });
});

test('map columns are not requested again after not-in-model', async () => {
  await withPage(browser, service.url, async (page) => {
    const asked = [];
    await page.route('**/v1/score*', (route) => {
      const columns = new URL(route.request().url()).searchParams.get('columns').split(',');
      asked.push(columns.includes('map'));
      if (!columns.includes('map')) return route.continue();
      const error = { status: 400, code: 'not-in-model', message: 'no maps' };
      return route.fulfill({ status: 400, json: { error } });
    });
    await choose(page, ASTRONAUT);
    assert.equal(await page.locator('.face').count(), 1);
    assert.equal(await page.locator('.maps image').count(), 0);
    assert.ok(await page.locator('#map-control').isHidden());
    await choose(page, FACES[1]);
    assert.deepEqual(asked, [true, true, false, false]);
  });
});

test('a rank-based calibration shows no recognition rate', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ASTRONAUT);
    assert.equal(await page.locator('.meaning').count(), 1);
    await page.getByRole('button', { name: 'Clear all' }).click();
    await change(page, (image, body) => {
      body.model.calibration = 'attn-fiqa-quality-1:0123';
    });
    await choose(page, ASTRONAUT);
    assert.equal(await page.locator('.meaning').count(), 0);
  });
});

test('causes are shown in words with advice', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      const causes = [
        { cause: 'blur', strength: 0.9, gain: 7.4 },
        { cause: 'too_dark', strength: 0.5, gain: 29.04 },
        { cause: 'noise', strength: 0.02, gain: 0.45 },
      ];
      await change(page, (image) => {
        const [face] = image.faces;
        if (image.width === 512)
          Object.assign(face, { causes: [], main_cause: null, weak_regions: [] });
        else
          Object.assign(face, {
            causes,
            main_cause: 'too_dark',
            weak_regions: ['left_eye', 'nose'],
          });
      });
      await choose(page, ASTRONAUT);
      assert.equal(await page.locator('.causes, .advice').count(), 0);
      assert.equal(await page.getByRole('columnheader', { name: 'Main cause' }).count(), 0);
      await choose(page, FACES[1]);
      const face = card(page, 'blur-4.png');
      assert.equal(
        await face.locator('.causes').textContent(),
        'Costs quality: too dark (29 points), out of focus (7 points); weak regions: left eye, nose.',
      );
      assert.equal(
        await face.locator('.advice').textContent(),
        'What to do: light the face from the front.',
      );
      await page.getByRole('columnheader', { name: 'Main cause' }).waitFor();
      assert.ok(await page.getByRole('cell', { name: 'too dark', exact: true }).isVisible());
      await page.getByRole('button', { name: 'Copy as CSV' }).click();
      await page.getByText('Copied as CSV').waitFor();
      const csv = await page.evaluate(() => navigator.clipboard.readText());
      assert.ok(csv.includes('blur:0.90 too_dark:0.50 noise:0.02'), csv);
      assert.ok(csv.includes(',left_eye nose,'), csv);
    },
    CLIPBOARD,
  );
});

test('cause descriptions match docs/reasons.md', async () => {
  const text = await readFile(repositoryFile('docs/reasons.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$/gm)];
  assert.deepEqual(Object.fromEntries(rows.map(([, name, ...words]) => [name, words])), CAUSES);
});

test('removed photos free their object URLs', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ...FACES.slice(0, 3));
    const urls = await page
      .locator('.frame img')
      .evaluateAll((images) => images.map((image) => image.src));
    const alive = () =>
      page.evaluate(
        (all) =>
          Promise.all(
            all.map(
              (url) =>
                new Promise((resolve) => {
                  const image = new Image();
                  image.onload = () => resolve(true);
                  image.onerror = () => resolve(false);
                  image.src = url;
                }),
            ),
          ),
        urls,
      );
    assert.deepEqual(await alive(), [true, true, true]);
    await page.getByRole('button', { name: 'Remove blur-4.png' }).click();
    assert.deepEqual(await alive(), [true, false, true]);
    assert.deepEqual(await names(page), ['astronaut.png', 'noise-3.png']);
    assert.equal(
      await page.evaluate(() => document.activeElement.getAttribute('aria-label')),
      'Remove noise-3.png',
    );
    await page.getByRole('button', { name: 'Clear all' }).click();
    assert.deepEqual(await alive(), [false, false, false]);
    assert.ok(await page.locator('#results').isHidden());
    assert.ok(await page.locator('#table-section').isHidden());
    assert.equal(await page.evaluate(() => document.activeElement.id), 'choose');
  });
});

test('removing a photo aborts its request and starts the next', async () => {
  await withPage(browser, service.url, async (page) => {
    let held = 0;
    let ended = 0;
    page.on('requestfailed', () => {
      ended += 1;
    });
    await page.route('**/v1/score*', () => {
      // Never answered.
      held += 1;
    });
    await page.setInputFiles('#files', FACES);
    await page.waitForFunction(
      () => document.querySelectorAll('.card[data-state="sending"]').length === 2,
    );
    await page.waitForTimeout(100);
    assert.deepEqual([ended, held], [0, 2]);
    await page.getByRole('button', { name: 'Remove astronaut.png' }).click();
    await page.waitForFunction(
      () => document.querySelectorAll('.card[data-state="sending"]').length === 2,
    );
    await page.waitForTimeout(100);
    assert.deepEqual([ended, held], [1, 3]);
  });
});
