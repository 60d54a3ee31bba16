import { Anchor, Badge, Group, Text } from "@mantine/core";
import { Link } from "react-router";
import classes from "./layout.module.css";
import type { Entry } from "./timeline";
import { When } from "./When";

/** What happened, line by line, each with the service that tells it. */
export function Entries({ of }: { of: Entry[] }) {
  return (
    <ol className={classes.timeline}>
      {of.map((entry) => (
        <Line key={entry.key} entry={entry} />
      ))}
    </ol>
  );
}

function Line({ entry: { at, service, what, by, more, to } }: { entry: Entry }) {
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
        {more && (
          <Text size="xs" c="dimmed">
            {more}
          </Text>
        )}
      </div>
    </li>
  );
}
