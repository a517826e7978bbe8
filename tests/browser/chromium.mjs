// Debian's Chromium as the browser scripts use it: headless, a fresh profile each time, and no way to any other host.
import { chromium } from 'playwright-core';

const FLAGS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Names other than the local ones do not exist: a page that asks the world for something fails the same way
  // on every machine, and at once.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost, EXCLUDE *.localhost',
];

/** Starts a browser, gives `use` a page with these context options, and closes the browser whatever happens. */
export async function withPage(contextOptions, use) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    chromiumSandbox: false, // it cannot start as root, which is what containers and CI run as
    args: FLAGS,
  });
  try {
    const context = await browser.newContext(contextOptions);
    return await use(await context.newPage());
  } finally {
    await browser.close();
  }
}

/** The viewport and colour scheme that --width, --height and --scheme ask for. */
export function view({ width, height, scheme }) {
  return { viewport: { width: Number(width), height: Number(height) }, colorScheme: scheme };
}

/** The options of `view`, for parseArgs: a phone in light colours. */
export const VIEW_OPTIONS = {
  width: { type: 'string', default: '390' },
  height: { type: 'string', default: '844' },
  scheme: { type: 'string', default: 'light' },
};

/** Prints how to call the script and ends the process with the status of a usage error. */
export function usage(text) {
  console.error(`usage: ${text}`);
  process.exit(2);
}
