// Runs a real service and a real browser, and watches the pages.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const BINARY = required('ATTN_FIQA_BINARY');
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** How long the service may take to load its model, in milliseconds. */
const START_LIMIT = 60_000;

export const ROOT = new URL('../../../', import.meta.url);

/** A file of the repository, by its relative path. */
export function repositoryFile(path) {
  return fileURLToPath(new URL(path, ROOT));
}

export const ASTRONAUT = repositoryFile('examples/astronaut.png');

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: call the script run with the program to test`);
  return value;
}

/** The path of the program under test. */
export function program() {
  return BINARY;
}

/** Starts the service with additional options on a free port: `{ url, stop() }`. */
export async function startService(...options) {
  const child = spawn(BINARY, ['serve', '--listen', '127.0.0.1:0', ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const url = await new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no address within ${START_LIMIT} ms: ${output}`)),
      START_LIMIT,
    );
    const read = (chunk) => {
      output += chunk;
      const address = /127\.0\.0\.1:([1-9]\d*)/.exec(output);
      if (!address) return;
      clearTimeout(timer);
      resolve(`http://${address[0]}/`);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (status) => {
      clearTimeout(timer);
      reject(new Error(`the service ended with ${status}: ${output}`));
    });
  });
  await untilReady(url);
  return {
    url,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function untilReady(url) {
  const end = Date.now() + START_LIMIT;
  while (Date.now() < end) {
    const ready = await fetch(new URL('readyz', url)).catch(() => null);
    if (ready?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not become ready within ${START_LIMIT} ms`);
}

/** Starts the browser; `args` are additional switches. */
export function startBrowser(...args) {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  });
}

/**
 * Opens the page and runs `act(page)`. Fails if there was a violation of the
 * Content-Security-Policy, an uncaught error, or a request to another origin.
 */
export async function withPage(browser, url, act, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const wrong = [];
  await context.exposeFunction('reportViolation', (text) => wrong.push(`CSP: ${text}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.violatedDirective} of ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  // Listen from the start: a chooser that opens before anyone listens is lost.
  page.on('filechooser', () => {});
  page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`));
  page.on('console', (message) => {
    // The browser itself reports every status of 400 and above, which some tests provoke.
    const expected = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !expected) wrong.push(`console: ${message.text()}`);
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    const local = protocol === 'blob:' || protocol === 'data:';
    if (!local && origin !== new URL(url).origin) wrong.push(`request: ${request.url()}`);
  });
  try {
    await page.goto(url);
    await act(page, context);
    assert.deepEqual(wrong, []);
  } finally {
    await context.close();
  }
}

/** The media types that a browser assigns to these extensions. */
const TYPES = { png: 'image/png', jpg: 'image/jpeg', md: 'text/markdown' };

/**
 * Chooses files, each a path or `{ name, mimeType, buffer }`, as a user would, and waits until
 * every card on the page has an answer.
 */
export async function choose(page, ...files) {
  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.getByRole('button', { name: 'Choose photos' }).click(),
  ]);
  await chooser.setFiles(await Promise.all(files.map(asBuffer)));
  await settled(page);
}

/** Playwright accepts either paths or buffers. */
async function asBuffer(file) {
  if (typeof file !== 'string') return file;
  const mimeType = TYPES[file.split('.').at(-1)];
  return { name: basename(file), mimeType, buffer: await readFile(file) };
}

/** Waits until there are cards, all have an answer, and the page shows this. */
export async function settled(page) {
  await page.locator('.card').first().waitFor();
  await page.locator('#photos[aria-busy="false"]').waitFor();
}

/** The card of the photo with this name. */
export function card(page, name) {
  return page.locator('.card').filter({ has: page.getByRole('heading', { name, exact: true }) });
}
