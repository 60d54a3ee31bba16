import { Anchor, Group, Stack, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import { Link } from "react-router";

type Props = { title: string; back?: { to: string; label: string }; actions?: ReactNode; children: ReactNode };

/** A place of the dashboard: its heading, which is the tab's name too, and what can be done here. */
export function Page({ title, back, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · Boxoffice`;
  }, [title]);
  return (
    <Stack gap="sm">
      {back && (
        <Anchor component={Link} to={back.to} size="sm">
          ← {back.label}
        </Anchor>
      )}
      <Group justify="space-between" gap="xs">
        <Title order={1} size="h3">
          {title}
        </Title>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </Stack>
  );
}
