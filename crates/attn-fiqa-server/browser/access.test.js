// Widths, colour schemes, keyboard and screen reader.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import axe from 'axe-core';
import {
  ASTRONAUT,
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
  [service, browser] = await Promise.all([
    startService(),
    startBrowser('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'),
  ]);
});

after(async () => {
  await browser?.close();
  await service?.stop();
});

/** Everything that the page can show at once: faces in several bands, and problems. */
async function fill(page) {
  const faces = ['astronaut', 'blur-4', 'noise-3', 'dark-5'].map((name) =>
    repositoryFile(`examples/faces/${name}.png`),
  );
  await choose(page, ASTRONAUT, ...faces, repositoryFile('README.md'), {
    name: 'sky.png',
    mimeType: 'image/png',
    buffer: gradientPng(64, 64),
  });
}

async function assertNoViolations(page) {
  // Evaluated through the debugger, because the page's policy would block the script.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ['violations'] }),
  );
  const found = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('; ')}`,
  );
  assert.deepEqual(found, []);
}

const noOverflow = async (page) => {
  const [content, view] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(content <= view, `${content} pixels wide in ${view}`);
};

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 1600]) {
    test(`no axe violations or horizontal overflow: ${colorScheme}, ${width} pixels`, async () => {
      await withPage(
        browser,
        service.url,
        async (page) => {
          await noOverflow(page);
          await assertNoViolations(page);
          await fill(page);
          await noOverflow(page);
          await assertNoViolations(page);
          const background = await page.evaluate(
            () => getComputedStyle(document.body).backgroundColor,
          );
          const [red] = /\d+/.exec(background);
          assert.equal(Number(red) < 100, colorScheme === 'dark', background);
        },
        { colorScheme, viewport: { width, height: 800 }, reducedMotion: 'reduce' },
      );
    });
  }

  test(`no axe violations in the camera dialog and API key form: ${colorScheme}`, async () => {
    await withPage(
      browser,
      service.url,
      async (page) => {
        await page.getByRole('button', { name: 'Use the camera' }).click();
        await page.waitForFunction(() => !document.querySelector('#camera-shoot').disabled);
        await assertNoViolations(page);
        await page.keyboard.press('Escape');
        await page.route('**/v1/score*', (route) =>
          route.fulfill({ status: 401, json: { error: { message: 'no key' } } }),
        );
        await choose(page, ASTRONAUT);
        await page.getByLabel('API key', { exact: true }).fill('wrong');
        await page.keyboard.press('Enter');
        await page.getByText('did not accept this key').waitFor();
        await assertNoViolations(page);
      },
      { colorScheme, viewport: { width: 320, height: 800 } },
    );
  });
}

test('photo labels have a contrast of at least 4.5 in every band', async () => {
  await withPage(browser, service.url, async (page) => {
    await choose(page, ASTRONAUT);
    for (const band of ['unusable', 'poor', 'fair', 'good', 'excellent']) {
      const [ink, ground] = await page.locator('.box').evaluate((box, name) => {
        box.className = `box ${name}`;
        const { color, backgroundColor } = getComputedStyle(box.querySelector('.label'));
        return [color, backgroundColor].map((colour) => colour.match(/\d+/g).map(Number));
      }, band);
      const ratio = (luminance(ink) + 0.05) / (luminance(ground) + 0.05);
      assert.ok(ratio >= 4.5, `${band}: ${ratio}`);
    }
  });
});

/** Relative luminance (WCAG 2.2) of sRGB, 0 to 255. */
function luminance(colour) {
  const [red, green, blue] = colour.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

test('nothing overflows at common widths or at 200 % text size', async () => {
  await withPage(browser, service.url, async (page) => {
    await fill(page);
    for (const width of [320, 375, 480, 641, 768, 832, 1024, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      await noOverflow(page);
    }
    // Only the text at 200 % (WCAG 1.4.4).
    await page.evaluate(() => {
      document.documentElement.style.fontSize = '200%';
    });
    await page.setViewportSize({ width: 640, height: 800 });
    await noOverflow(page);
  });
});

const focused = (page) =>
  page.evaluate(() => {
    const { activeElement: element } = document;
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    return {
      name:
        element.getAttribute('aria-label') ??
        element.labels?.[0]?.textContent ??
        element.textContent.trim(),
      id: element.id,
      none: element === document.body,
      visible: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    };
  });

/** Presses Tab until `wanted(focused)`, and checks that the focus is visible at every stop. */
async function tabTo(page, wanted, limit = 60) {
  for (let presses = 0; presses < limit; presses += 1) {
    await page.keyboard.press('Tab');
    const now = await focused(page);
    assert.ok(now.visible || now.none, `no visible focus on ${now.name}`);
    if (wanted(now)) return now;
  }
  throw new Error(`not reached in ${limit} presses of Tab: ${wanted}`);
}

test('the page is usable by keyboard alone', async () => {
  await withPage(
    browser,
    service.url,
    async (page) => {
      await page.keyboard.press('Tab');
      assert.equal((await focused(page)).name, 'Skip to adding photos');
      await page.keyboard.press('Enter');
      await tabTo(page, ({ id }) => id === 'choose', 2);
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.keyboard.press('Enter'),
      ]);
      await chooser.setFiles([ASTRONAUT, repositoryFile('examples/faces/blur-4.png')]);
      await settled(page);

      // The camera opens, closes and returns the focus.
      await tabTo(page, ({ id }) => id === 'camera-open');
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => !document.querySelector('#camera-shoot').disabled);
      await page.keyboard.press('Escape');
      assert.equal((await focused(page)).id, 'camera-open');

      await tabTo(page, ({ id }) => id === 'map-opacity');
      await page.keyboard.press('End');
      assert.equal(await page.locator('#map-value').textContent(), '100\u00a0%');
      await tabTo(page, ({ id }) => id === 'best-first');
      await page.keyboard.press('Space');
      assert.ok(await page.locator('#best-first').isChecked());
      await tabTo(page, ({ name }) => name === 'Face 1: show it in the photo');
      await page.keyboard.press('Enter');
      assert.equal(await page.locator('.box.picked').count(), 1);
      await tabTo(page, ({ name }) => name === 'Remove blur-4.png');
      await page.keyboard.press('Enter');
      assert.equal((await focused(page)).name, 'Remove astronaut.png');
      await tabTo(page, ({ id }) => id === 'copy-csv');
      await page.keyboard.press('Enter');
      await page.getByText('Copied as CSV').waitFor();
      await tabTo(page, ({ name }) => name.startsWith('Quality'));
      await page.keyboard.press('Enter');
      assert.equal(
        await page.getByRole('columnheader', { name: 'Quality' }).getAttribute('aria-sort'),
        'descending',
      );
    },
    { permissions: ['clipboard-read', 'clipboard-write'] },
  );
});

test('results are announced and images have alt text', async () => {
  await withPage(browser, service.url, async (page) => {
    const summary = page.locator('#summary');
    assert.equal(await summary.getAttribute('role'), 'status');
    await choose(page, ASTRONAUT);
    assert.match(
      await page.locator('.frame img').getAttribute('alt'),
      /^astronaut\.png: one face, quality \d+, excellent$/,
    );
    await page
      .getByRole('listitem')
      .filter({ hasText: '/100' })
      .getByText('Quality', { exact: true })
      .waitFor({ state: 'attached' });
    const headings = await page.getByRole('heading').allTextContents();
    assert.deepEqual(headings, [
      'How usable is this photo for face recognition?',
      'Add photos',
      'Results',
      'astronaut.png',
      'All faces',
      'What the score means',
    ]);
  });
});

test('reduced motion is respected', async () => {
  for (const [reducedMotion, animation] of [
    ['reduce', 'none'],
    ['no-preference', 'turn'],
  ]) {
    await withPage(
      browser,
      service.url,
      async (page) => {
        await page.route('**/v1/score*', () => {});
        await page.setInputFiles('#files', ASTRONAUT);
        const name = await page
          .locator('.spinner')
          .evaluate((spinner) => getComputedStyle(spinner).animationName);
        assert.equal(name, animation);
      },
      { reducedMotion },
    );
  }
});

test('the page has a strict CSP and no inline scripts or styles', async () => {
  const response = await fetch(service.url);
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
  const policy = response.headers.get('content-security-policy');
  for (const directive of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
  ]) {
    assert.ok(policy?.includes(directive), `${directive} in ${policy}`);
  }
  assert.ok(!policy.includes('unsafe'), policy);
  const html = await response.text();
  assert.ok(!/\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)/.test(html));
  assert.ok(!/https?:|\/\//.test(html.replace('http://www.w3.org/2000/svg', '')));
});
