import { Anchor, Stack, Text, Title } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

/** What stands where nothing is. */
export function Nothing() {
  const { t } = useTranslation();
  return (
    <Stack>
      <Title order={1}>{t("nothing.title")}</Title>
      <Text>{t("nothing.text")}</Text>
      <Anchor component={Link} to="/">
        {t("nothing.home")}
      </Anchor>
    </Stack>
  );
}
