import { Kbd, NativeSelect, TextInput } from "@mantine/core";
import { useDebouncedCallback, useHotkeys } from "@mantine/hooks";
import { useEffect, useRef } from "react";
import { useSearchParams } from "react-router";

/** What a list is narrowed to, kept in the address: it survives a reload and can be sent to a colleague. */
export function useFilters<Name extends string>(
  ...names: Name[]
): [Partial<Record<Name, string>>, (name: Name, value: string) => void] {
  const [address, setAddress] = useSearchParams();
  const filters = Object.fromEntries(
    names.flatMap((name) => (address.get(name) ? [[name, address.get(name)]] : [])),
  ) as Partial<Record<Name, string>>;
  const narrow = (name: Name, value: string) =>
    setAddress(
      (before) => {
        const after = new URLSearchParams(before);
        if (value) after.set(name, value);
        else after.delete(name);
        return after;
      },
      { replace: true },
    );
  return [filters, narrow];
}

/** Every value of an enumeration of the API, in this order: one that is missing or too many is an error of types. */
export const every = <Value extends string>(values: Record<Value, 1>) => Object.keys(values) as Value[];

type Choice = string | { value: string; label: string };
type FilterProps = {
  label: string;
  value: string | undefined;
  onChange: (value: string) => void;
  of: readonly Choice[];
};

/** One of a few values, or any. */
export function Filter({ label, value, onChange, of }: FilterProps) {
  const choices = of.map((choice) =>
    typeof choice === "string" ? { value: choice, label: choice.replaceAll("_", " ") } : choice,
  );
  return (
    <NativeSelect
      size="xs"
      style={{ alignSelf: "flex-start" }}
      aria-label={label}
      value={value ?? ""}
      onChange={(event) => onChange(event.currentTarget.value)}
      data={[{ value: "", label: `${label}: any` }, ...choices]}
    />
  );
}

type SearchProps = { label: string; value: string | undefined; onChange: (value: string) => void };

/** A field that searches while one types, and that the key / leads to. */
export function Search({ label, value = "", onChange }: SearchProps) {
  const input = useRef<HTMLInputElement>(null);
  const settle = useDebouncedCallback((text: string) => onChange(text.trim()), 300);
  useHotkeys([["/", () => input.current?.focus()]]);
  useEffect(() => {
    if (input.current && input.current !== document.activeElement) input.current.value = value;
  }, [value]);
  return (
    <TextInput
      ref={input}
      type="search"
      size="xs"
      flex="1 1 16rem"
      maw="30rem"
      aria-label={label}
      placeholder={label}
      defaultValue={value}
      onChange={(event) => settle(event.currentTarget.value)}
      rightSection={<Kbd size="xs">/</Kbd>}
      rightSectionPointerEvents="none"
    />
  );
}
