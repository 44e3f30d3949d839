import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { expect } from '@jest/globals';
import type {
  Browser,
  BrowserContext,
  BrowserContextOptions,
  Locator,
  Page,
} from 'playwright-core';
import { logIn, startChromium } from '../../../scripts/dashboard-stage/browser.js';
import type { USERS } from '../../../scripts/dashboard-stage/stack.js';

const STEP_MS = 20_000;

type Session = Awaited<ReturnType<BrowserContext['storageState']>>;

export interface TestBrowser {
  readonly browser: Browser;
  /** Who has logged in where: the server lets nobody try often. */
  readonly sessions: Map<string, Session>;
  readonly stop: () => Promise<void>;
}

export async function startBrowser(): Promise<TestBrowser> {
  return { ...(await startChromium()), sessions: new Map() };
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors that the page threw or wrote to the console, the browser's on broken rules among them. */
  readonly errors: readonly string[];
}

export const DESKTOP: BrowserContextOptions = { viewport: { width: 1360, height: 860 } };
export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
};

/** A page with storage of its own. */
export async function openPage(
  { browser }: TestBrowser,
  url: string,
  options: BrowserContextOptions = DESKTOP,
): Promise<Visit> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(STEP_MS);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    // The browser writes down every answer that is not 2xx; what follows from it is tested.
    const isStatus = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isStatus) errors.push(message.text());
  });
  await page.goto(url);
  return { page, context, errors };
}

export async function fillLogin(page: Page, name: string, password: string): Promise<void> {
  await page.getByLabel('User').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Opens the page as somebody who has logged in. */
export async function visitAs(
  browser: TestBrowser,
  url: string,
  role: keyof typeof USERS,
  options: BrowserContextOptions = DESKTOP,
): Promise<Visit> {
  const key = `${url} ${role}`;
  const known = browser.sessions.get(key);
  const storageState = known === undefined ? {} : { storageState: known };
  const visit = await openPage(browser, url, { ...options, ...storageState });
  if (known === undefined) await logIn(visit.page, role);
  await visit.page.getByRole('link', { name: 'Fleet', exact: true }).waitFor();
  browser.sessions.set(key, await visit.context.storageState());
  return visit;
}

/** Waits until something is on the screen. */
export async function expectShown(locator: Locator, timeout = STEP_MS): Promise<void> {
  await locator.waitFor({ timeout });
  expect(await locator.isVisible()).toBe(true);
}

/** Goes to a view: `#/rollouts`. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeViolation {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** Serious and critical violations of WCAG 2.1 A and AA, one line each; empty when there are none. */
export async function seriousViolations(page: Page): Promise<string[]> {
  const hasAxe = await page.evaluate<boolean>('"axe" in globalThis');
  // Through the debugger, which the page's policy does not bind.
  if (!hasAxe) {
    await page.evaluate(await readFile(axePath, 'utf8'));
  }
  const violations = await page.evaluate<AxeViolation[]>(`axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations']
  }).then((result) => result.violations)`);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map((node) => `${id}: ${node.target.join(' ')}: ${node.failureSummary}`),
    );
}
