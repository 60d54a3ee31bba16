import { Anchor, Badge, Container, Group } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, Outlet, ScrollRestoration } from "react-router";
import { configQuery } from "../config";
import { LanguageSwitch } from "./LanguageSwitch";
import classes from "./Shell.module.css";

/** The frame of the booking pages. */
export function Shell() {
  const { t } = useTranslation();
  const config = useQuery(configQuery);
  return (
    <>
      <a href="#content" className={classes.skip}>
        {t("skip")}
      </a>
      <header className={classes.header}>
        <Container size="md">
          <Group justify="space-between" h={56} wrap="nowrap">
            <Group gap="xs" wrap="nowrap">
              <Anchor component={Link} to="/" className={classes.name} underline="never">
                <img src="/icon.svg" alt="" width={28} height={28} />
                {t("name")}
              </Anchor>
              {config.data?.mode === "sandbox" && (
                <Badge variant="light" color="yellow" className={classes.mode}>
                  {t("sandbox")}
                </Badge>
              )}
            </Group>
            <LanguageSwitch />
          </Group>
        </Container>
      </header>
      <Container size="md" component="main" id="content" tabIndex={-1} className={classes.content}>
        <Outlet />
      </Container>
      <ScrollRestoration />
    </>
  );
}
