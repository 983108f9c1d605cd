/**
 * Debian's Chromium, where CRUCIBLE_CHROMIUM says where it is, or it stands where Debian puts it. Without one the tests that
 * need it say so; `.ci/run` demands it by the variable.
 */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const DEMANDED = process.env.CRUCIBLE_CHROMIUM;
const CHROMIUM = DEMANDED ?? '/usr/bin/chromium';

export const hasBrowser = existsSync(CHROMIUM);
if (DEMANDED !== undefined && !hasBrowser) throw new Error(`CRUCIBLE_CHROMIUM: there is no ${DEMANDED}`);
if (!hasBrowser)
  console.log('no Chromium here, so nothing is tested in a browser (CRUCIBLE_CHROMIUM names one)');

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
}
