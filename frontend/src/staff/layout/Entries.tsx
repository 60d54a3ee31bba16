import { Anchor, Badge, Checkbox, Group, Text } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import classes from "./layout.module.css";
import type { Entry } from "./timeline";
import { When } from "./When";

/** What happened, line by line, each with the service that tells it. */
export function Entries({ of }: { of: Entry[] }) {
  const [withIds, setWithIds] = useState(false);
  return (
    <>
      <ol className={classes.timeline}>
        {of.map((entry) => (
          <Line key={entry.key} entry={entry} withIds={withIds} />
        ))}
      </ol>
      {of.some(({ ids }) => ids) && (
        <Checkbox
          size="xs"
          mt="xs"
          label="With ids and hashes"
          checked={withIds}
          onChange={(event) => setWithIds(event.currentTarget.checked)}
        />
      )}
    </>
  );
}

function Line({ entry: { at, service, what, by, more, ids, to }, withIds }: { entry: Entry; withIds: boolean }) {
  const beside = [more, withIds && ids].filter(Boolean).join(", ");
  return (
    <li>
      <Text span size="xs" c="dimmed">
        <When at={at} seconds />
      </Text>
      <Badge size="xs" variant="outline" color="gray" tt="none">
        {service}
      </Badge>
      <div>
        <Group gap={4}>
          {to ? (
            <Anchor component={Link} to={to} inherit>
              {what}
            </Anchor>
          ) : (
            <Text span inherit>
              {what}
            </Text>
          )}
          {by && (
            <Text span inherit c="dimmed">
              by {by}
            </Text>
          )}
        </Group>
        {beside && (
          <Text size="xs" c="dimmed">
            {beside}
          </Text>
        )}
      </div>
    </li>
  );
}
