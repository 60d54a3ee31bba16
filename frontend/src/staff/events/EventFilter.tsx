import { Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { EventRead } from "../../api/generated";
import { readEventOptions } from "../../api/generated/@tanstack/react-query.gen";
import { short } from "../layout/When";
import { choicesQuery } from "./choices";

const MORE = { value: "more", label: "More fit: type more of the name, the venue or the day", disabled: true };

type Props = { value: string | undefined; onChange: (eventId: string) => void };

/** One event of all that there ever were, found by what is typed, or any. */
export function EventFilter({ value, onChange }: Props) {
  const [text, setText] = useState("");
  const chosen = useQuery({ ...readEventOptions({ path: { event_id: value ?? "" } }), enabled: Boolean(value) });
  const own = value && chosen.data ? [choice(chosen.data)] : [];
  const [typed] = useDebouncedValue(text.trim(), 300);
  // The field shows the name of what is chosen, which is no search.
  const found = useQuery(choicesQuery(own.some(({ label }) => label === typed) ? "" : typed));
  const others = (found.data?.events ?? []).map(choice).filter((other) => other.value !== value);
  return (
    <Select
      size="xs"
      w="16rem"
      aria-label="Event"
      placeholder="Event: any. Name, venue or 2026-11"
      searchable
      clearable
      clearButtonProps={{ "aria-label": "Any event" }}
      searchValue={text}
      onSearchChange={setText}
      value={value ?? null}
      onChange={(chosenId) => onChange(chosenId ?? "")}
      data={[...own, ...others, ...(found.data?.more ? [MORE] : [])]}
      filter={({ options }) => options} // the server has searched
      nothingFoundMessage={found.isFetching ? "Searching" : "No event fits."}
    />
  );
}

const choice = ({ id, name, starts_at, timezone }: EventRead) => ({
  value: id,
  label: `${name}, ${short(starts_at, timezone)}`,
});
