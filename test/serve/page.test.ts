/** The page in a browser. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout } from 'node:timers/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Crucible, type ServeHandle, telemetry } from '../../src/index.js';
import { hasBrowser, launchBrowser } from '../support/browser.js';
import { rounds } from '../support/effort.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const HOSTILE = '<img src=x onerror="document.title=\'taken\'"> \u202egnp';

/** What axe-core tells. */
interface Found {
  readonly violations: readonly { id: string; impact: string; nodes: readonly { html: string }[] }[];
}

/** What a browser does when somebody turns to another tab, or back. */
const hidden = (value: boolean) =>
  `Object.defineProperty(document, 'hidden', { value: ${value}, configurable: true });
   document.dispatchEvent(new Event('visibilitychange'));`;

let browser: Browser;
let crucible: Crucible;
let serving: ServeHandle;
let context: BrowserContext;
let said: string[];

describe.runIf(hasBrowser)('the page', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    await context?.close();
    await crucible?.close();
  });

  async function open(path = '', options: { width?: number; dark?: boolean } = {}): Promise<Page> {
    const { width = 1280, dark = false } = options;
    context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme: dark ? 'dark' : 'light',
    });
    const page = await context.newPage();
    said = [];
    page.on(
      'console',
      (message) => ['error', 'warning'].includes(message.type()) && said.push(message.text()),
    );
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== new URL(serving.url).origin) said.push(`asks ${request.url()}`);
    });
    await page.goto(serving.url + path);
    return page;
  }

  async function begin(name = 'shown') {
    crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({
      name,
      condition: 'control',
      tags: ['<b>tag</b>'],
      columns: { ttftMs: 'f64' },
    });
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'model-1', provider: 'p' });
    for (let i = 0; i < 2_000; i++) recorder.record(5 + (i % 300), 0.002, 100, 50, i % 20 !== 0);
    experiment.capture(
      'req_llm.request.stop',
      { latencyMs: 12 },
      { session_id: 's-1', correlation_id: HOSTILE, model: HOSTILE },
    );
    serving = await crucible.serve({ port: 0 });
    return { experiment, recorder };
  }

  async function beginStudy() {
    crucible = new Crucible({ workers: 0 });
    const study = crucible.study({
      name: 'prompts',
      hypothesis: 'The shorter prompt answers sooner, and costs no accuracy.',
      arms: { current: {}, shorter: {} },
      plan: { outcomes: [{ of: 'latencyMs', role: 'primary' }], sequential: true, unitsPerArm: 1_000 },
    });
    for (let unit = 0; unit < 1_200; unit++) {
      const arm = study.assign(unit);
      study.run(unit, () =>
        telemetry.execute(
          'req_llm.request.stop',
          { latencyMs: (arm === 'current' ? 300 : 280) + ((unit * 37) % 101) },
          { model: 'model-1', success: unit % 25 !== 0 },
        ),
      );
    }
    serving = await crucible.serve({ port: 0 });
    return { study };
  }

  const tile = (page: Page, label: string) =>
    page.locator('.tile', { hasText: label }).locator('.value').first();

  it('moves while events arrive, with the numbers of the API, and without an error', async () => {
    const { experiment, recorder } = await begin();
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,001');
    expect(await page.locator('.uplot canvas').count()).toBeGreaterThanOrEqual(3);
    const pixels = () => page.evaluate<string>("document.querySelector('.uplot canvas').toDataURL()");
    const before = await pixels();
    const writing = setInterval(() => {
      for (let i = 0; i < 20; i++) recorder.record(900, 0.002, 100, 50, true);
    }, 20);
    await expect.poll(pixels, { timeout: 10_000 }).not.toBe(before);
    clearInterval(writing);
    await expect
      .poll(
        async () =>
          (await tile(page, 'Events').textContent()) ===
          experiment.streamingMetrics().count.toLocaleString('en-US'),
        { timeout: 10_000 },
      )
      .toBe(true);
    const { latency, reliability } = experiment.streamingMetrics();
    expect(await tile(page, 'Latency p95').textContent()).toBe(
      `${latency.p95?.toLocaleString('en-US', { maximumSignificantDigits: 4, minimumSignificantDigits: 4 })} ms`,
    );
    expect(await tile(page, 'Success').textContent()).toBe(
      `${((reliability.successRate as number) * 100).toFixed(2)} %`,
    );
    expect(said).toEqual([]);
  });

  it('shows hostile names as text', async () => {
    const { experiment } = await begin(HOSTILE);
    const page = await open();
    await expect.poll(() => page.locator('tbody th a').first().textContent()).toContain('<img src=x');
    expect(await page.locator('tbody th a').first().textContent()).toContain('\\u202e');
    await page.locator('tbody th a').first().click();
    await expect.poll(() => page.locator('h1').textContent()).toContain('<img src=x');
    await page.goto(`${serving.url}?view=calls&id=${experiment.id}&session=s-1`);
    await page.locator('tbody a').first().click();
    await expect.poll(() => page.locator('h2').first().textContent()).toBe('req_llm.request.stop');
    expect(await page.locator('main img, main script, main b').count()).toBe(0);
    expect(await page.title()).not.toBe('taken');
    expect(said).toEqual([]);
  });

  it('keeps what is looked at in the address, and goes back to it', async () => {
    await begin();
    crucible.startExperiment({ name: 'other' });
    const page = await open();
    await page.fill('#search', 'other');
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1);
    expect(new URL(page.url()).searchParams.get('q')).toBe('other');
    await page.reload();
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1);
    await page.locator('tbody th a').first().click();
    await expect.poll(() => page.locator('h1').textContent()).toBe('other');
    await page.goBack();
    await expect.poll(() => page.inputValue('#search')).toBe('other');
    expect(said).toEqual([]);
  });

  it('is used by keyboard: tables of charts, copies, sorting', async () => {
    const { experiment } = await begin();
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,001');
    const figure = page.locator('section[aria-label="Latency distribution"]');
    await figure.getByRole('button', { name: 'Table' }).focus();
    await page.keyboard.press('Enter');
    await expect.poll(() => figure.locator('tbody tr').count()).toBeGreaterThan(5);
    const counts = await figure.locator('tbody tr td:nth-child(3)').allTextContents();
    expect(counts.reduce((sum, text) => sum + Number(text), 0)).toBe(2_001);
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await figure.getByRole('button', { name: 'JSON' }).focus();
    await page.keyboard.press('Space');
    await expect.poll(() => page.evaluate<string>('navigator.clipboard.readText()')).toContain('"events"');
    expect(said).toEqual([]);
  });

  it('shows scores by judge, and hostile comments as text', async () => {
    const { experiment } = await begin();
    for (let i = 0; i < 30; i++) {
      experiment.score({ sampleId: i }, 'good', i % 3 > 0, { by: 'people' });
      experiment.score({ sampleId: i }, 'good', i % 4 > 0, { by: HOSTILE, comment: HOSTILE });
    }
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await page.getByRole('link', { name: 'Scores' }).click();
    await expect.poll(() => page.locator('h2').first().textContent()).toBe('good');
    const judges = page.locator('section[aria-label="By judge"] tbody tr');
    expect(await judges.count()).toBe(2);
    expect(await page.locator('main').textContent()).toContain("Krippendorff's α");
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.title()).not.toBe('taken');
    expect(said).toEqual([]);
  });

  it('shows p and the interval of a study over its looks', async () => {
    const { study } = await beginStudy();
    await study.verdict();
    const page = await open('?view=study&id=prompts');
    const chart = page.locator('section[aria-label="p, valid at every look"]');
    await expect.poll(() => chart.locator('.note').first().textContent()).toContain('2 looks as planned');
    await expect.poll(() => chart.locator('canvas').count()).toBe(1);
    await page.getByRole('button', { name: 'Look again' }).click();
    await expect.poll(() => chart.locator('.note').first().textContent()).toContain('3 looks as planned');
    await chart.getByRole('button', { name: 'Table' }).click();
    const looks = study.looks().map(({ primary }) => primary?.pValue as number);
    const shown = await chart.locator('.numbers tbody tr td:nth-child(2)').allTextContents();
    expect(shown.map(Number)).toEqual(looks);
    expect(await page.locator('progress').count()).toBe(2);
    expect(said).toEqual([]);
  });

  it('comes back by itself when the server does', async () => {
    const { experiment } = await begin();
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,001');
    const { port } = new URL(serving.url);
    await serving.close();
    await expect.poll(() => page.locator('.trouble').isVisible()).toBe(true);
    const after = experiment.recorder('req_llm.request.stop', { model: 'model-1' });
    for (let i = 0; i < 10; i++) after.record(1);
    serving = await crucible.serve({ port: Number(port) });
    await expect.poll(() => tile(page, 'Events').textContent(), { timeout: 15_000 }).toBe('2,011');
    await expect.poll(() => page.locator('.trouble').isVisible()).toBe(false);
  });

  it('says what it has nothing of', async () => {
    crucible = new Crucible({ workers: 0 });
    serving = await crucible.serve({ port: 0 });
    const page = await open();
    await expect.poll(() => page.locator('.empty').textContent()).toContain('No experiments yet');
    const paused = crucible.startExperiment({ name: 'paused' });
    paused.pause();
    await page.locator('tbody th a').click();
    await expect.poll(() => page.locator('.notices').textContent()).toMatch(/Paused.*No events yet/);
    expect(said).toEqual([]);
  });

  it('sorts, searches and turns the pages of ten thousand experiments', async () => {
    crucible = new Crucible({ workers: 0 });
    serving = await crucible.serve({ port: 0 });
    const page = await open();
    // As the server would send them.
    await page.route('**/api/feed', (route) => {
      const each = (i: number) => ({
        ...{
          id: `id-${i}`,
          name: `experiment ${i}`,
          condition: 'c',
          hypothesis: null,
          tags: [],
          metadata: {},
          status: 'stopped',
        },
        ...{
          startedAt: 1e15 + i,
          stoppedAt: 2e15,
          pausedAt: null,
          pausedUs: 0,
          sampleSize: null,
          source: 'folder',
          folder: '/f',
        },
        ...{ heldBy: null, declared: [], libraryVersion: '0', error: null },
        counts: {
          captured: i,
          retained: i,
          dropped: 0,
          damaged: 0,
          malformed: 0,
          cut: 0,
          durable: i,
          bytes: i,
        },
      });
      const state = {
        dir: '/f',
        error: null,
        gone: [],
        experiments: Array.from({ length: 10_000 }, (_, i) => each(i)),
      };
      return route.fulfill({
        contentType: 'text/event-stream',
        body: `event: state\nid: x.0\ndata: ${JSON.stringify(state)}\n\n`,
      });
    });
    await page.reload();
    await expect.poll(() => page.locator('tbody tr').count()).toBe(100);
    await page.getByRole('button', { name: /^Events/ }).click();
    await expect.poll(() => page.locator('tbody th a').first().textContent()).toBe('experiment 9999');
    await page.getByRole('button', { name: 'Next' }).click();
    await expect.poll(() => page.locator('tbody th a').first().textContent()).toBe('experiment 9899');
    await page.fill('#search', 'experiment 77');
    await expect.poll(() => page.locator('tbody tr').count()).toBe(100);
    expect(await page.locator('main .note').first().textContent()).toContain('280 of 10,000');
  });

  it.each([
    { width: 1440, dark: false },
    { width: 390, dark: true },
  ])(
    'has nothing serious that axe-core finds, and fits its width: $width px, dark $dark',
    async (options) => {
      const { experiment } = await begin();
      const other = crucible.startExperiment({ name: 'second' });
      const recorder = other.recorder('req_llm.request.stop', { model: 'm' });
      for (let i = 0; i < 500; i++) recorder.record(4 + (i % 250), 0.002, 100, 50, true);
      for (let i = 0; i < 20; i++) {
        experiment.score({ sampleId: i }, 'quality', i % 5, { by: 'people' });
        experiment.score({ sampleId: i }, 'quality', (i * 3) % 5, { by: 'model' });
      }
      const page = await open('', options);
      const views = [
        '',
        `?view=experiment&id=${experiment.id}`,
        `?view=calls&id=${experiment.id}`,
        `?view=scores&id=${experiment.id}`,
        `?view=compare&id=${experiment.id}&id=${other.id}`,
        '?view=studies',
        `?view=files&id=${experiment.id}`,
        'docs/',
      ];
      for (const view of views) {
        await page.goto(serving.url + view);
        await expect
          .poll(() => page.locator('body').textContent(), { timeout: 20_000 })
          .not.toMatch(/Reading…|Comparing…/);
        await page.evaluate(AXE);
        const { violations } = await page.evaluate<Found>('axe.run()');
        const serious = violations
          .filter(({ impact }) => impact === 'serious' || impact === 'critical')
          .map(({ id, nodes }) => `${view} ${id}: ${nodes[0]?.html}`);
        expect(serious).toEqual([]);
        const wider = await page.evaluate<number>(
          'Math.max(0, document.documentElement.scrollWidth - innerWidth)',
        );
        expect({ view, wider }).toEqual({ view, wider: 0 });
      }
      expect(said.filter((text) => !text.includes('axe'))).toEqual([]);
    },
  );

  it('does not grow while 100,000 events a second arrive', { timeout: 180_000 }, async () => {
    const { experiment, recorder } = await begin();
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,001');
    const cdp = await context.newCDPSession(page);
    const sizes = async () => {
      await cdp.send('HeapProfiler.collectGarbage');
      const { usedSize } = await cdp.send('Runtime.getHeapUsage');
      const { nodes, jsEventListeners } = await cdp.send('Memory.getDOMCounters');
      return { usedSize, nodes, jsEventListeners };
    };
    const fill = async (ticks: number) => {
      for (let tick = 0; tick < ticks; tick++) {
        for (let i = 0; i < 1_000; i++) recorder.record(5 + ((i * 7) % 300), 0.002, 100, 50, i % 20 !== 0);
        await setTimeout(10);
      }
      const all = experiment.streamingMetrics().count.toLocaleString('en-US');
      await expect.poll(() => tile(page, 'Events').textContent(), { timeout: 20_000 }).toBe(all);
    };
    await fill(100);
    const before = await sizes();
    await fill(rounds(200, 5_000));
    const after = await sizes();
    // A series of 480 intervals is all that it keeps; what leaks at five deltas a second is seen in its nodes.
    expect(after.usedSize - before.usedSize).toBeLessThan(4 * 2 ** 20);
    expect(after.nodes - before.nodes).toBeLessThan(200);
    expect(after.jsEventListeners - before.jsEventListeners).toBeLessThan(20);
    expect(said).toEqual([]);
  });

  it('is told nothing while nobody sees it', async () => {
    const { experiment } = await begin();
    const page = await open(`?view=experiment&id=${experiment.id}`);
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,001');
    await page.evaluate(hidden(true));
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'model-1' });
    for (let i = 0; i < 9; i++) recorder.record(1);
    await page.waitForTimeout(600);
    expect(await tile(page, 'Events').textContent()).toBe('2,001');
    await page.evaluate(hidden(false));
    await expect.poll(() => tile(page, 'Events').textContent()).toBe('2,010');
  });
});
