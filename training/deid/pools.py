# ruff: noqa: E501  lists of forms read better unwrapped
"""Pools of names, towns, addresses, companies and phone numbers from Faker's locales."""

from __future__ import annotations

import random
import unicodedata

from faker import Faker

from training.deid import words

_LOCALES = (
    "en_US en_US en_US en_GB en_IN en_NZ en_IE es_MX es_ES es_AR es_CO fr_FR fr_CA pt_BR pt_PT de_DE "
    "it_IT nl_NL pl_PL cs_CZ hu_HU ro_RO sv_SE no_NO da_DK fi_FI tr_TR vi_VN id_ID tl_PH yo_NG ha_NG "
    "ig_NG zu_ZA hr_HR lt_LT lv_LV et_EE sk_SK sl_SI"
).split()
# Names that Faker's Latin-script locales lack.
MORE_FIRST = (
    "Wei Xiu Mei Jun Ling Hao Yan Fang Min-ji Ji-woo Seung Hyun Soo-jin Kenji Yuki Haruto Sakura Aiko "
    "Nguyet Thuy Linh Duc Quang Phuong Bao Xong Mai Pa Kou Tou Yer Chue Amina Fatima Khadija Hodan "
    "Abdi Ayaan Ifrah Mohamed Ahmed Yusuf Ibrahim Hassan Zainab Layla Noor Omar Khalid Samira Tariq "
    "Priya Anjali Rahul Sanjay Deepa Lakshmi Arjun Farid Parisa Dariush Shirin Tesfaye Almaz Selam "
    "Bekele Hirut Chidi Ngozi Emeka Folasade Kwame Ama Kofi Akosua Wanjiru Otieno Svetlana Dmitri "
    "Oksana Anya Boris Ilona Goran Milica Ioanna Stavros Leilani Kainoa Sione Tevita Malia Dakota "
    "Shadi Nizhoni Tiponi Deshawn Latoya Tyrone Shanice Jamal Keisha Malik Aaliyah DeAndre LaTasha"
).split()
MORE_LAST = (
    "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Kim Lee Park Choi Jung Kang Cho Yoon Tanaka "
    "Suzuki Sato Nakamura Yamamoto Tran Nguyen Pham Vang Xiong Yang Moua Lor Thao Hassan Ali Mohamed "
    "Warsame Abdullahi Farah Osman Haddad Khoury Nasser Rahman Hussain Khan Ahmad Patel Shah Singh Kaur "
    "Sharma Gupta Iyer Reddy Rao Banerjee Hosseini Tehrani Ahmadi Bekele Tadesse Haile Okafor Adeyemi "
    "Eze Mensah Boateng Owusu Kamau Odhiambo Ivanov Petrova Volkov Kowalczyk Papadopoulos Kahale "
    "Kealoha Tuiasosopo Begay Yazzie Tsosie Washington Jefferson Booker Banks O'Dowd O'Brien McAllister"
).split()


def _is_latin(text: str) -> bool:
    return all(not c.isalpha() or unicodedata.name(c, "").startswith("LATIN") for c in text)


class Pools:
    """Draws made-up values; one seed gives one sequence."""

    def __init__(self, seed: int, per_locale: int = 250) -> None:
        self.random = random.Random(seed)
        Faker.seed(seed)
        self._first: list[str] = list(MORE_FIRST)
        self._last: list[str] = list(MORE_LAST)
        self._towns: list[str] = list(words.TOWNS)
        self._streets: list[str] = []
        self._addresses: list[str] = []
        self._companies: list[str] = list(words.EMPLOYERS)
        self._numbers: list[str] = []
        for locale in _LOCALES:
            self._fill(Faker(locale), locale, per_locale)

    def _fill(self, fake: Faker, locale: str, count: int) -> None:
        def draw(method: str, into: list[str], times: int) -> None:
            for _ in range(times):
                try:
                    value = str(getattr(fake, method)())
                except (AttributeError, NotImplementedError):
                    return
                if value and _is_latin(value):
                    into.append(value)

        draw("first_name", self._first, count)
        draw("last_name", self._last, count)
        draw("city", self._towns, count // 3)
        draw("street_name", self._streets, count // 3)
        draw("street_address", self._addresses, count // 3)
        draw("address", self._addresses, count // 3)
        draw("company", self._companies, count // 3)
        draw("phone_number", self._numbers, count // 4)
        if locale == "en_US":
            self._towns += [fake.local_latlng(country_code="US")[2] for _ in range(150)]
