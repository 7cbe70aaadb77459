// Messages of the OpenIGTLink C++ library, for comparison with those of Trocar.
//
//   oracle write FOLDER    writes one message of each kind, as the library packs it
//   oracle read FILE...    unpacks messages with their checksums verified and says what is in them

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "igtlCapabilityMessage.h"
#include "igtlImageMessage.h"
#include "igtlMessageHeader.h"
#include "igtlPointMessage.h"
#include "igtlStatusMessage.h"
#include "igtlStringMessage.h"
#include "igtlTrackingDataMessage.h"
#include "igtlTransformMessage.h"

namespace {

void write(const std::string& folder, const std::string& name, igtl::MessageBase* message) {
  message->SetDeviceName("Camera");
  message->SetTimeStamp(1700000000u, 0x40000000u);
  message->Pack();
  std::ofstream file(folder + "/" + name + ".igtl", std::ios::binary);
  file.write(static_cast<const char*>(message->GetPackPointer()), message->GetPackSize());
}

igtl::ImageMessage::Pointer image(int components, int slices) {
  igtl::ImageMessage::Pointer message = igtl::ImageMessage::New();
  float directions[3][3] = {{0, 1, 0}, {1, 0, 0}, {0, 0, -1}};
  message->SetDimensions(8, 6, slices);
  message->SetSpacing(0.25f, 0.5f, 2.0f);
  message->SetNumComponents(components);
  message->SetScalarTypeToUint8();
  message->SetEndian(igtl::ImageMessage::ENDIAN_LITTLE);
  message->SetCoordinateSystem(igtl::ImageMessage::COORDINATE_RAS);
  message->SetOrigin(10.0f, -20.0f, 30.5f);
  message->SetNormals(directions);
  return message;
}

void fill(igtl::ImageMessage* message) {
  message->AllocateScalars();
  unsigned char* pixels = static_cast<unsigned char*>(message->GetScalarPointer());
  for (int place = 0; place < message->GetSubVolumeImageSize(); ++place) {
    pixels[place] = static_cast<unsigned char>(place * 7 + 3);
  }
}

void writeAll(const std::string& folder) {
  igtl::ImageMessage::Pointer rgb = image(3, 1);
  fill(rgb);
  write(folder, "rgb", rgb);
  igtl::ImageMessage::Pointer volume = image(1, 4);
  fill(volume);
  write(folder, "volume", volume);
  igtl::ImageMessage::Pointer part = image(1, 4);
  part->SetSubVolume(3, 2, 2, 5, 1, 2);
  fill(part);
  write(folder, "part", part);

  igtl::TransformMessage::Pointer transform = igtl::TransformMessage::New();
  igtl::Matrix4x4 matrix = {{1, 0, 0, 7.5f}, {0, 0, -1, 8}, {0, 1, 0, -9.25f}, {0, 0, 0, 1}};
  transform->SetMatrix(matrix);
  write(folder, "transform", transform);

  igtl::StringMessage::Pointer text = igtl::StringMessage::New();
  text->SetEncoding(3);
  text->SetString("polyp, 12 mm");
  write(folder, "string", text);

  igtl::StatusMessage::Pointer status = igtl::StatusMessage::New();
  status->SetCode(igtl::StatusMessage::STATUS_NOT_READY);
  status->SetSubCode(-2);
  status->SetErrorName("Warming up");
  status->SetStatusString("engine is built");
  write(folder, "status", status);

  igtl::CapabilityMessage::Pointer capability = igtl::CapabilityMessage::New();
  capability->SetTypes({"IMAGE", "GET_CAPABIL", "TRANSFORM"});
  write(folder, "capability", capability);

  igtl::PointMessage::Pointer points = igtl::PointMessage::New();
  for (int index = 0; index < 2; ++index) {
    igtl::PointElement::Pointer point = igtl::PointElement::New();
    point->SetName(index == 0 ? "grasper 3" : "hook 4");
    point->SetGroupName("tool");
    point->SetRGBA(255, 0, 10, 128);
    point->SetPosition(960.5f, 540.25f - index, 0.0f);
    point->SetRadius(12.5f);
    point->SetOwner("Camera");
    points->AddPointElement(point);
  }
  write(folder, "points", points);

  write(folder, "get_image", igtl::GetImageMessage::New());
  write(folder, "get_status", igtl::GetStatusMessage::New());
  write(folder, "get_transform", igtl::GetTransformMessage::New());
  write(folder, "get_capability", igtl::GetCapabilityMessage::New());
  write(folder, "get_point", igtl::GetPointMessage::New());
  igtl::StartTrackingDataMessage::Pointer start = igtl::StartTrackingDataMessage::New();
  start->SetResolution(50);
  start->SetCoordinateName("Tracker");
  write(folder, "start", start);
  write(folder, "stop", igtl::StopTrackingDataMessage::New());
  igtl::RTSTrackingDataMessage::Pointer result = igtl::RTSTrackingDataMessage::New();
  result->SetStatus(1);
  write(folder, "result", result);
}

bool unpack(igtl::MessageBase* message, igtl::MessageHeader* header, const std::string& body) {
  message->SetMessageHeader(header);
  message->AllocatePack();
  if (static_cast<size_t>(message->GetPackBodySize()) != body.size()) return false;
  std::memcpy(message->GetPackBodyPointer(), body.data(), body.size());
  return (message->Unpack(1) & igtl::MessageHeader::UNPACK_BODY) != 0;
}

bool sayImage(igtl::MessageHeader* header, const std::string& body) {
  igtl::ImageMessage::Pointer message = igtl::ImageMessage::New();
  if (!unpack(message, header, body)) return false;
  int size[3], part[3], offset[3];
  float spacing[3], origin[3], normals[3][3];
  message->GetDimensions(size);
  message->GetSubVolume(part, offset);
  message->GetSpacing(spacing);
  message->GetOrigin(origin);
  message->GetNormals(normals);
  long sum = 0;
  const unsigned char* pixels = static_cast<const unsigned char*>(message->GetScalarPointer());
  for (int place = 0; place < message->GetSubVolumeImageSize(); ++place) {
    sum += static_cast<long>(pixels[place]) * (place % 251 + 1);
  }
  std::printf("IMAGE %dx%dx%d part %dx%dx%d from %d,%d,%d", size[0], size[1], size[2], part[0],
              part[1], part[2], offset[0], offset[1], offset[2]);
  std::printf(" spacing %g,%g,%g centre %g,%g,%g i %g,%g,%g", spacing[0], spacing[1], spacing[2],
              origin[0], origin[1], origin[2], normals[0][0], normals[0][1], normals[0][2]);
  std::printf(" components %d scalar %d system %d sum %ld\n", message->GetNumComponents(),
              message->GetScalarType(), message->GetCoordinateSystem(), sum);
  return true;
}

bool sayPoints(igtl::MessageHeader* header, const std::string& body) {
  igtl::PointMessage::Pointer message = igtl::PointMessage::New();
  if (!unpack(message, header, body)) return false;
  std::printf("POINT");
  for (int index = 0; index < message->GetNumberOfPointElement(); ++index) {
    igtl::PointElement::Pointer point;
    message->GetPointElement(index, point);
    float place[3];
    point->GetPosition(place);
    std::printf(" [%s|%s|%g,%g,%g|%g|%s]", point->GetName(), point->GetGroupName(), place[0],
                place[1], place[2], point->GetRadius(), point->GetOwner());
  }
  std::printf("\n");
  return true;
}

bool sayRest(const std::string& type, igtl::MessageHeader* header, const std::string& body) {
  if (type == "TRANSFORM") {
    igtl::TransformMessage::Pointer message = igtl::TransformMessage::New();
    igtl::Matrix4x4 m;
    if (!unpack(message, header, body)) return false;
    message->GetMatrix(m);
    std::printf("TRANSFORM %g,%g,%g,%g %g,%g,%g,%g %g,%g,%g,%g\n", m[0][0], m[0][1], m[0][2],
                m[0][3], m[1][0], m[1][1], m[1][2], m[1][3], m[2][0], m[2][1], m[2][2], m[2][3]);
    return true;
  }
  if (type == "STRING") {
    igtl::StringMessage::Pointer message = igtl::StringMessage::New();
    if (!unpack(message, header, body)) return false;
    std::printf("STRING %d %s\n", message->GetEncoding(), message->GetString());
    return true;
  }
  if (type == "STATUS") {
    igtl::StatusMessage::Pointer message = igtl::StatusMessage::New();
    if (!unpack(message, header, body)) return false;
    std::printf("STATUS %d %lld %s|%s\n", message->GetCode(),
                static_cast<long long>(message->GetSubCode()), message->GetErrorName(),
                message->GetStatusString());
    return true;
  }
  if (type == "CAPABILITY") {
    igtl::CapabilityMessage::Pointer message = igtl::CapabilityMessage::New();
    if (!unpack(message, header, body)) return false;
    std::printf("CAPABILITY");
    for (const std::string& name : message->GetTypes()) std::printf(" %s", name.c_str());
    std::printf("\n");
    return true;
  }
  return false;
}

bool say(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  igtl::MessageHeader::Pointer header = igtl::MessageHeader::New();
  header->InitPack();
  const size_t size = header->GetPackSize();
  if (data.size() < size) return false;
  std::memcpy(header->GetPackPointer(), data.data(), size);
  header->Unpack();
  const std::string body = data.substr(size);
  if (header->GetBodySizeToRead() != static_cast<int>(body.size())) return false;
  unsigned int seconds, fraction;
  header->GetTimeStamp(&seconds, &fraction);
  std::printf("%s %u.%08x ", header->GetDeviceName(), seconds, fraction);
  const std::string type = header->GetDeviceType();
  if (type == "IMAGE") return sayImage(header, body);
  if (type == "POINT") return sayPoints(header, body);
  return sayRest(type, header, body);
}

}  // namespace

int main(int count, char** words) {
  if (count == 3 && std::string(words[1]) == "write") {
    writeAll(words[2]);
    return 0;
  }
  for (int index = 2; index < count; ++index) {
    if (!say(words[index])) {
      std::printf("REFUSED\n");
    }
  }
  return 0;
}
