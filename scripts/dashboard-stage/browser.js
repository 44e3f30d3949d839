// @ts-check
// The system's Chromium, with a profile that is empty and thrown away.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { USERS } from './stack.js';

/** Nothing but the page: no look-ups of its own, which a closed network would make it wait for. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @param {readonly string[]} [more] flags */
export async function startChromium(more = []) {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
  if (executablePath === undefined) {
    throw new Error('chromium is not installed: apt-get install chromium');
  }
  const home = await mkdtemp(join(tmpdir(), 'edgefit-chromium-'));
  const browser = await chromium.launch({
    executablePath,
    args: [...FLAGS, ...more],
    env: { PATH: process.env['PATH'] ?? '', HOME: home },
  });
  return {
    browser,
    stop: async () => {
      await browser.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/**
 * Fills in the login page.
 * @param {import('playwright-core').Page} page
 * @param {keyof typeof USERS} role
 */
export async function logIn(page, role) {
  await page.getByLabel('User').fill(USERS[role].name);
  await page.getByLabel('Password').fill(USERS[role].password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: 'Fleet', exact: true }).waitFor();
}
