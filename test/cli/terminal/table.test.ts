import { describe, expect, it } from 'vitest';
import { tableLines } from '../../../src/cli/terminal/table.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';

describe('tableLines', () => {
  const columns = [
    { header: 'name', align: 'left' as const },
    { header: 'p50, ms', align: 'right' as const },
  ];

  it('aligns words left and numbers right, whatever the script', () => {
    expect(tableLines(columns, [['control', '12.50'], ['対照群', '1,204.00'], ['🚀']])).toEqual([
      '  name       p50, ms',
      '  control      12.50',
      '  対照群    1,204.00',
      '  🚀',
    ]);
  });

  it('lets the first column give way to the width', () => {
    const lines = tableLines(columns, [['a rather long name', '1.0']], { width: 24 });
    expect(lines[1]).toBe('  a rather lo…       1.0');
    expect(lines.every((line) => displayWidth(line) <= 24)).toBe(true);
  });

  it('leaves out a header that says nothing', () => {
    const bare = columns.map((column) => ({ ...column, header: '' }));
    expect(tableLines(bare, [['a', '1']], { indent: 0 })).toEqual(['a   1']);
  });
});
