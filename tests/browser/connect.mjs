// A person connects an account: opens the connect page, continues to the provider, logs in there and consents,
// until the browser is sent to --until-url or a page shows its result (`data-result`).
//
//   node connect.mjs --url URL [--username alice] [--password alice] [--deny | --reject] [--until-url PREFIX]
//                    [--form NAME=VALUE]… [--choose LABEL] [--axe] [--screenshots DIR] [--timeout SECONDS]
//
// --deny says no to the provider, --reject says "this wasn't me" to the connect page, --form fills an input of the
// connect page, --choose answers the question which of several things is meant, --axe examines our pages against WCAG.
// Prints one JSON line: {"final_url", "result", "console_errors", "csp_violations", "axe", "steps", "error"}.
// "error" is null and the exit status 0 when an end was reached. Chromium is $CHROMIUM or /usr/bin/chromium.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import axe from 'axe-core';
import { VIEW_OPTIONS, usage, view, withPage } from './chromium.mjs';

const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'];
const MAX_STEPS = 12;
const YES = /^(allow|authori[sz]e|accept|approve|continue|confirm|agree|yes)\b/i;
const NO = /^(deny|cancel|reject|refuse|decline|no)\b/i;

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    username: { type: 'string', default: 'alice' },
    password: { type: 'string', default: 'alice' },
    deny: { type: 'boolean', default: false },
    reject: { type: 'boolean', default: false },
    'until-url': { type: 'string' },
    form: { type: 'string', multiple: true, default: [] },
    choose: { type: 'string' },
    axe: { type: 'boolean', default: false },
    screenshots: { type: 'string' },
    timeout: { type: 'string', default: '20' },
    ...VIEW_OPTIONS,
  },
});
if (!options.url) usage('node connect.mjs --url URL [--username NAME] [--password PASSWORD] [--until-url PREFIX] …');
if (options.screenshots) mkdirSync(options.screenshots, { recursive: true });
const timeout = Number(options.timeout) * 1000;

const report = { final_url: options.url, result: null, console_errors: [], csp_violations: [], axe: [], steps: [], error: null };

/** Collects what a developer would see in the console. */
function listen(page) {
  page.on('pageerror', (error) => report.console_errors.push({ url: page.url(), text: String(error) }));
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const list = /content security policy/i.test(message.text()) ? report.csp_violations : report.console_errors;
    list.push({ url: message.location().url || page.url(), text: message.text() });
  });
}

/**
 * Notes when the browser asks for the URL that ends the run. That is the request, not the page: the application's
 * callback may be on a host that does not exist here.
 */
function watchForEnd(page) {
  const end = { url: null, settled: Promise.resolve() };
  page.on('request', (request) => {
    const navigates = request.isNavigationRequest() && request.frame() === page.mainFrame();
    if (!navigates || end.url || !options['until-url'] || !request.url().startsWith(options['until-url'])) return;
    end.url = request.url();
    end.settled = request.response().catch(() => null); // so that a listener there has seen the request before we go
  });
  return end;
}

/** Does something that leads to another page and waits until that page is there, or the end is reached. */
async function navigate(page, end, act) {
  const isFailure = (request) => request.isNavigationRequest() && request.frame() === page.mainFrame();
  const arrival = Promise.race([
    page.waitForEvent('load', { timeout }).then(() => null),
    page.waitForEvent('requestfailed', { predicate: isFailure, timeout }),
  ]).catch(() => {
    throw new Error(`still on ${page.url()} after ${options.timeout} s`);
  });
  const action = act().then(() => null, (error) => error);
  const failed = await arrival;
  if (end.url) return void (await end.settled);
  if (failed) throw new Error(`cannot open ${failed.url()}: ${failed.failure()?.errorText}`);
  const error = await action;
  if (error) throw error;
}

/** The visible buttons of the page with what they say. */
async function buttons(page) {
  const found = [];
  for (const locator of await page.locator('button, input[type=submit]').all()) {
    if (!(await locator.isVisible())) continue;
    const text = await locator.evaluate((element) => (element.tagName === 'INPUT' ? element.value : element.innerText));
    found.push({ locator, text: text.trim() });
  }
  return found;
}

async function fillConnectForm(page) {
  for (const pair of options.form) {
    const cut = pair.indexOf('=');
    const input = page.locator(`[name="${pair.slice(0, cut)}"]`);
    if (await input.count()) await input.fill(pair.slice(cut + 1));
  }
}

const answered = new Set(); // forms that the person has sent; a page that shows one again has refused it

/** Throws when the person has sent this kind of form before, with what the page says about it. */
async function once(page, kind) {
  if (answered.has(kind)) {
    const alerts = await page.locator('[role=alert], .errorlist').allInnerTexts();
    throw new Error(`${kind} was refused at ${page.url()}: ${alerts.join(' ').replace(/\s+/g, ' ').trim()}`);
  }
  answered.add(kind);
}

/** What the person would click on this page, after filling in what has to be filled in; null when there is nothing. */
async function nextButton(page) {
  const proceed = page.locator('button[type=submit][data-action=continue]');
  if (await proceed.count()) {
    await once(page, 'the connect form');
    if (options.reject) return page.locator('[data-action=reject]');
    await fillConnectForm(page);
    return proceed;
  }
  const choose = page.locator('button[data-action=choose]');
  if (await choose.count()) {
    await once(page, 'the choice');
    await page.getByLabel(options.choose).check();
    return choose;
  }
  const done = page.locator('button[data-action=done]');
  if (await done.count()) {
    await once(page, 'the code');
    await confirmCode(page);
    return done;
  }
  const password = page.locator('input[type=password]:visible').first();
  if (await password.count()) {
    await once(page, 'the login');
    const form = page.locator('form', { has: password });
    await form.locator('input:not([type]):visible, input[type=text]:visible, input[type=email]:visible').first().fill(options.username);
    await password.fill(options.password);
    return form.locator('button:not([type=button]), input[type=submit]').first();
  }
  const wanted = options.deny ? NO : YES;
  return (await buttons(page)).find(({ text }) => wanted.test(text))?.locator ?? null;
}

/** Enters a code at the provider, in the tab that our page opens. */
async function confirmCode(page) {
  const [tab] = await Promise.all([page.waitForEvent('popup', { timeout }), page.locator('a[data-action=open]').click()]);
  const confirm = tab.getByRole('button', { name: YES });
  await confirm.first().click({ timeout });
  await tab.getByText(/success/i).first().waitFor({ timeout });
  report.steps.push(tab.url());
  await tab.close();
}

async function connect(page) {
  listen(page);
  const end = watchForEnd(page);
  await navigate(page, end, () => page.goto(options.url, { waitUntil: 'commit', timeout }));
  for (let step = 1; ; step += 1) {
    report.final_url = end.url ?? page.url();
    report.steps.push(report.final_url);
    if (options.screenshots) await picture(page, step);
    if (end.url) return;
    if (options.axe) await examine(page);

    const result = page.locator('[data-result]');
    if (await result.count()) {
      report.result = await result.first().getAttribute('data-result');
      return;
    }
    if (step > MAX_STEPS) throw new Error(`no end after ${MAX_STEPS} pages`);
    const button = await nextButton(page);
    if (!button) throw new Error(`nothing to click on "${await page.title()}" at ${page.url()}`);
    await navigate(page, end, () => button.click({ timeout, noWaitAfter: true }));
  }
}

/** Adds what axe-core finds wrong with one of our own pages; others are not ours to mend. */
async function examine(page) {
  if (new URL(page.url()).origin !== new URL(options.url).origin) return;
  await page.evaluate(axe.source); // evaluated from outside: the page's own policy admits no script
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), AXE_TAGS);
  for (const { id, help } of violations) report.axe.push({ url: page.url(), id, help });
}

const picture = (page, step) =>
  page.screenshot({ path: join(options.screenshots, `${String(step).padStart(2, '0')}.png`), fullPage: true });

try {
  await withPage(view(options), connect);
} catch (error) {
  report.error = error.message.split('\n')[0];
}
console.log(JSON.stringify(report));
process.exitCode = report.error ? 1 : 0;
