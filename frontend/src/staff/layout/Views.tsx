import { SegmentedControl } from "@mantine/core";

type Props<View extends string> = {
  label: string;
  value: string;
  onChange: (view: View) => void;
  of: Record<View, string>;
};

/** A few views of the same list. */
export function Views<View extends string>({ label, value, onChange, of }: Props<View>) {
  const views = Object.entries<string>(of).map(([view, name]) => ({ value: view as View, label: name }));
  return (
    <SegmentedControl
      size="xs"
      style={{ alignSelf: "flex-start" }}
      aria-label={label}
      value={value as View}
      onChange={onChange}
      data={views}
    />
  );
}
