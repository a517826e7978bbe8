// A picture of one page:
//   node screenshots.mjs --url URL --out FILE [--width 390] [--height 844] [--scheme light|dark] [--full-page]
import { parseArgs } from 'node:util';
import { VIEW_OPTIONS, usage, view, withPage } from './chromium.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    out: { type: 'string' },
    'full-page': { type: 'boolean', default: false },
    ...VIEW_OPTIONS,
  },
});
if (!options.url || !options.out) usage('node screenshots.mjs --url URL --out FILE [--width N] [--height N] …');

await withPage(view(options), async (page) => {
  await page.goto(options.url, { waitUntil: 'load' });
  await page.screenshot({ path: options.out, fullPage: options['full-page'] });
});
