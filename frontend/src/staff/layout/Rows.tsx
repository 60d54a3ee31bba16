import { Table } from "@mantine/core";
import type { ReactNode } from "react";
import { Said } from "./Known";

export type Column<Row> = {
  head: string;
  cell: (row: Row) => ReactNode;
  /** Figures stand under each other. */
  numeric?: boolean;
  /** Left out on a phone. */
  wide?: boolean;
};

/** The same columns where a place says itself what some of them would. */
export function without<Row>(columns: Column<Row>[], ...heads: string[]): Column<Row>[] {
  return columns.filter(({ head }) => !heads.includes(head));
}

type Props<Row> = {
  label: string;
  rows: Row[];
  columns: Column<Row>[];
  /** Said where there are no rows: what would be here. */
  empty: ReactNode;
  busy?: boolean;
};

/** A dense table. `label` names it to who does not see it. */
export function Rows<Row extends { id: string }>({ label, rows, columns, empty, busy }: Props<Row>) {
  if (rows.length === 0) {
    return <Said busy={busy}>{empty}</Said>;
  }
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls sideways is reached by keyboard
    <div tabIndex={0} style={{ overflowX: "auto" }}>
      <Table highlightOnHover verticalSpacing={4} horizontalSpacing="xs" fz="sm" aria-label={label} aria-busy={busy}>
        <Table.Thead>
          <Table.Tr>
            {columns.map(({ head, numeric, wide }) => (
              <Table.Th key={head} scope="col" ta={numeric ? "right" : undefined} visibleFrom={wide ? "sm" : undefined}>
                {head}
              </Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody opacity={busy ? 0.6 : undefined}>
          {rows.map((row) => (
            <Table.Tr key={row.id}>
              {columns.map(({ head, cell, numeric, wide }) => (
                <Table.Td key={head} ta={numeric ? "right" : undefined} visibleFrom={wide ? "sm" : undefined}>
                  {cell(row)}
                </Table.Td>
              ))}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}
