// Checks one page against WCAG 2.2 A and AA with axe-core, prints the violations as JSON, exits 1 if there are any:
//   node axe.mjs --url URL [--width 390] [--height 844] [--scheme light|dark]
import axe from 'axe-core';
import { parseArgs } from 'node:util';
import { VIEW_OPTIONS, usage, view, withPage } from './chromium.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'];

const { values: options } = parseArgs({ options: { url: { type: 'string' }, ...VIEW_OPTIONS } });
if (!options.url) usage('node axe.mjs --url URL [--width N] [--height N] [--scheme light|dark]');

const violations = await withPage(view(options), async (page) => {
  await page.goto(options.url, { waitUntil: 'load' });
  await page.evaluate(axe.source); // evaluated from outside: the page's own policy stays in force and admits no script
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
  return violations;
});
const findings = violations.map(({ id, impact, help, nodes }) => ({
  id,
  impact,
  help,
  nodes: nodes.map((node) => ({ html: node.html, problem: node.failureSummary })),
}));
console.log(JSON.stringify(findings, null, 1));
process.exitCode = findings.length ? 1 : 0;
