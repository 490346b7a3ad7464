// Writes the pictures of the page in docs/images:
// ATTN_FIQA_BINARY=target/release/attn-fiqa node screenshots.js

import {
  ASTRONAUT,
  choose,
  repositoryFile,
  settled,
  startBrowser,
  startService,
  withPage,
} from './harness.js';

const [service, browser] = await Promise.all([startService(), startBrowser()]);
try {
  await withPage(
    browser,
    service.url,
    async (page) => {
      await page.getByRole('button', { name: 'Try an example' }).click();
      await settled(page);
      await save(page, 'page');
    },
    { viewport: { width: 1120, height: 912 } },
  );
  await withPage(
    browser,
    service.url,
    async (page) => {
      await choose(page, ASTRONAUT);
      await save(page, 'page-phone');
    },
    { viewport: { width: 390, height: 1186 }, colorScheme: 'dark' },
  );
} finally {
  await browser.close();
  await service.stop();
}

async function save(page, name) {
  // Hide focus and pointer.
  await page.evaluate(() => document.activeElement.blur());
  await page.mouse.move(0, 0);
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
  const path = repositoryFile(`docs/images/${name}.jpg`);
  await page.screenshot({ path, type: 'jpeg', quality: 88 });
}
