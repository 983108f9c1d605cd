import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Comparison, Outcome } from '../../analysis/types.js';
import { markupOf } from '../../charts/shape.js';
import { CHART_STYLE } from '../../charts/style.js';
import { type CommandContext, defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import type { LibraryCrucible } from '../library.js';
import type { Paper } from '../paper/document.js';
import {
  comparisonSections,
  experimentSections,
  provenanceSection,
  type ReportedExperiment,
} from '../paper/experiments.js';
import { paperHtml } from '../paper/html.js';
import { paperMarkdown } from '../paper/markdown.js';
import { type OpenedExperiment, withExperiments } from '../stored-experiments.js';
import { formatTime } from '../terminal/numbers.js';
import { waitFor } from '../waiting.js';

/** Points of the lines over time. */
const WINDOWS = 120;
const QUANTILES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

export const report = defineCommand({
  name: 'report',
  summary: 'write a report of experiments that goes into a paper or a pull request',
  usage: 'ID... --dir DIR [--html FILE] [--svg DIR] [--md FILE]',
  details: [
    'Of one experiment its figures; of several the verdict against the first, differences with intervals, and the method in words. Always with a manifest of the data: counts, what is missing, files with their SHA-256, versions. Changes nothing of the experiments.',
    'Without --html, --svg and --md, Markdown on standard output. For instance',
    '  crucible report 295d 8f01 --dir data --html report.html --svg figures',
  ],
  json: ['{ files: [path], title }'],
  positionals: { min: 1, max: 20 },
  options: {
    html: {
      type: 'string',
      value: 'FILE',
      description: 'one file with all charts and tables, that prints well',
    },
    svg: { type: 'string', value: 'DIR', description: 'a folder that gets each figure as a file' },
    md: { type: 'string', value: 'FILE', description: 'Markdown, for pull requests; - for standard output' },
    event: { type: 'string', value: 'NAME', description: 'compare events of this name or kind' },
    unit: { type: 'string', value: 'KEY', description: 'what was randomised, as in compare' },
    title: { type: 'string', value: 'TEXT', description: 'instead of the names' },
  },
  run(context) {
    const { options, printJson, print, stdout } = context;
    const { html, svg, md } = options;
    const toStdout = md === '-' || (html === undefined && svg === undefined && md === undefined);
    if (toStdout && options.json) throw new UsageError('--json needs --html, --svg or --md FILE', 'report');
    return withExperiments(context, 'report', context.positionals, async (crucible, opened) => {
      const paper = await waitFor(context, 'reading', paperOf(context, crucible, opened));
      const files: string[] = [];
      const write = async (path: string, text: string) => {
        await writeFile(path, text).catch((error: NodeJS.ErrnoException) => {
          throw new CommandError('ERR_EXPORT_PATH', `cannot write ${path}: ${error.code ?? error.message}`);
        });
        files.push(path);
      };
      if (html !== undefined) await write(html, paperHtml(paper));
      if (md !== undefined && md !== '-') await write(md, paperMarkdown(paper));
      if (svg !== undefined) {
        await mkdir(svg, { recursive: true });
        for (const { name, shape } of paper.sections.flatMap(({ figures = [] }) => figures)) {
          const styled = {
            ...shape,
            attributes: { xmlns: 'http://www.w3.org/2000/svg', ...shape.attributes },
            children: [{ tag: 'style', attributes: {}, children: [CHART_STYLE] }, ...shape.children],
          };
          await write(join(svg, `${name}.svg`), `${markupOf(styled)}\n`);
        }
      }
      if (toStdout) stdout.write(paperMarkdown(paper));
      else if (options.json) printJson({ title: paper.title, files });
      else print(...files);
    });
  },
});

async function paperOf(
  context: Pick<CommandContext, 'version' | 'signal' | 'loadLibrary'> & {
    readonly options: {
      readonly event?: string | undefined;
      readonly unit?: string | undefined;
      readonly title?: string | undefined;
    };
  },
  crucible: LibraryCrucible,
  opened: readonly OpenedExperiment[],
): Promise<Paper> {
  const { event, unit, title } = context.options;
  const { follow } = await context.loadLibrary();
  const how = { ...(event !== undefined && { event }), ...(unit !== undefined && { unit }) };
  const reported: ReportedExperiment[] = [];
  for (const each of opened) {
    const { experiment, stored } = each;
    const folder = await follow(stored.folder);
    try {
      await folder.describe(experiment.id);
      const follower = folder.follower(experiment.id);
      await follower.advance();
      const metrics = await experiment.metrics();
      const { start, end } = metrics.summary.timeRange;
      const spanUs = start === null || end === null ? 1 : Math.max(1, end - start + 1);
      const figures = follower.figures(event ?? null);
      const sizeUs = Math.ceil(spanUs / WINDOWS);
      const { kind } = figures;
      const filter =
        kind === 'all' ? {} : { where: { eventName: { in: [kind, `${kind}.stop`, `${kind}.exception`] } } };
      const windows = await experiment.windowedMetrics({ sizeUs, stepUs: sizeUs, filter });
      reported.push({ opened: each, metrics, figures, windows });
    } finally {
      folder.close();
    }
  }
  const ids = opened.map(({ experiment }) => experiment.id);
  const compared = opened.length > 1 ? await compareAll(crucible, ids, how) : null;
  const names = [...new Set(opened.map(({ experiment }) => experiment.name))].join(', ');
  const hypotheses = [...new Set(opened.map(({ stored }) => stored.experiment?.hypothesis ?? null))].filter(
    (text) => text !== null,
  );
  return {
    title: title ?? names,
    subtitle: `${hypotheses.length === 0 ? '' : `${hypotheses.join(' ')} `}Written ${formatTime(Date.now() * 1000)} by crucible-telemetry ${context.version}.`,
    sections: [
      ...(compared === null ? [] : comparisonSections(compared.comparison, compared.quantiles, QUANTILES)),
      ...experimentSections(reported),
      await provenanceSection(opened, context.version, context.signal),
    ],
  };
}

async function compareAll(
  crucible: LibraryCrucible,
  ids: readonly string[],
  how: { event?: string; unit?: string },
): Promise<{ comparison: Comparison; quantiles: Comparison }> {
  const comparison = await crucible.compare(ids, how);
  const outcomes: Outcome[] = QUANTILES.map((quantile) => ({
    name: `q${quantile}`,
    of: 'latencyMs',
    summary: { quantile },
  }));
  const quantiles = await crucible.compare(ids, {
    ...how,
    metrics: outcomes,
    adjust: 'none',
    resamples: 1_000,
  });
  return { comparison, quantiles };
}
