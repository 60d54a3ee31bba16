import { Anchor, Stack, Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { PageTitle } from "./PageTitle";

/** What stands where nothing is. */
export function Nothing() {
  const { t } = useTranslation();
  return (
    <Stack>
      <PageTitle>{t("nothing.title")}</PageTitle>
      <Text>{t("nothing.text")}</Text>
      <Anchor component={Link} to="/">
        {t("nothing.home")}
      </Anchor>
    </Stack>
  );
}
